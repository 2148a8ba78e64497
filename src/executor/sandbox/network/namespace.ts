import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { BuildError } from '../../../errors.ts';

/** Where this process is root already, or not: then the namespace gets a user namespace of its own, for a probe. */
export type NamespaceOwner = 'ours' | 'own';

export interface NetworkNamespace {
  /** Open: the namespace lives as long as it is, without any process in it. Closed on exec. */
  readonly fd: number;
  /** What to put before a command that is to have all rights over it. */
  readonly prefix: readonly string[];
  close(): void;
}

/** A new network namespace with nothing but a lo that is down. Throws `E_SANDBOX`. */
export async function openNamespace(owner: NamespaceOwner = 'ours'): Promise<NetworkNamespace> {
  const user = owner === 'ours' ? [] : ['--user', '--map-root-user'];
  const holder = spawn('unshare', [...user, '--net', 'cat'], { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  try {
    await isRunning(holder);
    const fd = openSync(`/proc/${holder.pid}/ns/net`, 'r');
    if (owner === 'ours') holder.stdin.end();
    const prefix = owner === 'ours' ? [] : ['nsenter', '--preserve-credentials', `--user=/proc/${holder.pid}/ns/user`];
    const close = (): void => {
      closeSync(fd);
      holder.stdin.end();
    };
    return { fd, prefix, close };
  } catch (cause) {
    holder.kill('SIGKILL');
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BuildError('E_SANDBOX', `Cannot create a network namespace: ${reason}`, {
      hint: 'Use --network=host, or see what "unshare --user --map-root-user --net true" says',
      cause,
    });
  }
}

/** Once `cat` answers, `unshare` has done its part. */
function isRunning(holder: ChildProcess): Promise<void> {
  let complaint = '';
  holder.stderr?.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  holder.stdin?.on('error', () => {}); // its exit says more
  holder.stdin?.write('\n');
  return new Promise((resolve, reject) => {
    holder.stdout?.once('data', () => resolve());
    holder.once('error', reject);
    holder.once('close', () => reject(new Error(complaint.trim())));
  });
}
