import { spawn } from 'node:child_process';
import { BuildError } from '../../errors.ts';

/** PID 1 of a step: killing it, or its standard input's end, kills everything that the step has left. */
export interface Init {
  /** As seen by this process. */
  readonly pid: number;
  /** /proc is that of the new pid namespace, for the whole mount namespace. Rejects with `E_MOUNT_DENIED`. */
  readonly ready: Promise<void>;
  /** It has ended and was reaped. */
  readonly gone: Promise<void>;
  release(): void;
}

/**
 * The host's shell, started before the root changes: only a process inside a pid namespace can mount its /proc. `wait`
 * reaps what is orphaned; the reader notices when we die. It keeps all capabilities, so the step may not look into it.
 */
const WAIT = 'exec 3<&0; echo ready; (read -r _ <&3) & wait';
const MOUNT_PROC = 'mount -t proc -o nosuid,nodev,noexec proc /proc || exit 1';

/** To be called in a thread that has unshared its mount and pid namespaces. `container`: /proc stays what it is. */
export async function startInit(proc: 'own' | 'container' = 'own'): Promise<Init> {
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  const script = proc === 'own' ? `${MOUNT_PROC}; ${WAIT}` : WAIT;
  const child = spawn('sh', ['-c', script], { cwd: '/', env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const ready = new Promise<void>((resolve, reject) => {
    let complaint = '';
    child.stderr.on('data', (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    child.stdout.once('data', () => resolve());
    child.once('error', (cause) => reject(new BuildError('E_SANDBOX', 'Cannot start "sh" for the sandbox', { cause })));
    child.once('close', () => reject(procRefused(complaint.trim())));
  });
  ready.catch(() => {}); // whoever awaits it is told
  child.stdin.on('error', () => {}); // the pipe breaks when PID 1 is killed
  if (child.pid === undefined) await ready;
  return { pid: child.pid ?? 0, ready, gone, release: () => child.stdin.destroy() };
}

export const procRefused = (reason: string): BuildError =>
  new BuildError('E_MOUNT_DENIED', `Cannot mount /proc in the sandbox: ${reason}`, {
    hint: 'In a container, start it with --security-opt systempaths=unconfined, or without masked /proc paths',
  });
