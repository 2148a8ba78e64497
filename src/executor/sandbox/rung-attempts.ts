import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BuildError } from '../../errors.ts';
import type { Owners } from '../../layers/index.ts';
import { type IdMaps, resolveIdMaps, singleIdMaps } from './id-source.ts';
import type { Refusal } from './ladder.ts';
import { startInNamespace } from './namespace.ts';
import { explainRefusal } from './refusal.ts';

export interface IdsFinding {
  /** The rung that these ids belong to. */
  readonly kind: 'a' | 'b' | 'c';
  /** undefined: none at all. */
  readonly maps: IdMaps | undefined;
  readonly refused: readonly (Refusal & { readonly failure?: BuildError })[];
}

const ASKED: Refusal = { letter: 'b', reason: 'TSBUILD_OWNERS=recorded asks for one id' };

/** Which ids this user may give to a namespace: all of root's, sub-ids, or the one that he has. `owners`: see `askedOwners`. */
export function findIds(owners?: Owners): IdsFinding {
  if (owners === 'recorded') return { kind: 'c', maps: singleIdMaps(), refused: [ASKED] };
  if (process.getuid?.() === 0) return { kind: 'a', maps: resolveIdMaps(), refused: [] };
  const notRoot = { letter: 'a', reason: 'this user is not root' } as const;
  try {
    return { kind: 'b', maps: resolveIdMaps(), refused: [notRoot] };
  } catch (failure) {
    if (!(failure instanceof BuildError)) throw failure;
    const { message, hint } = failure;
    const refused = [notRoot, { letter: 'b', reason: message, fix: hint, failure }] as const;
    return { kind: 'c', maps: owners === 'real' ? undefined : singleIdMaps(), refused };
  }
}

/** `none`: no namespace at all, and then `failure`. */
export type NamespaceFinding =
  | { readonly proc: 'own' }
  | { readonly proc: 'container'; readonly reason: string; readonly fix: string }
  | { readonly proc: 'none'; readonly reason: string; readonly fix: string | undefined; readonly failure: BuildError };

/** A step's /proc, mounted in a pid namespace of its own. */
const PROC_PROBE = ['unshare', '--pid', '--fork', 'sh', '-c', 'mount -t proc -o nosuid,nodev,noexec proc /proc'];

/** What a step's root needs; over /sys, which is always there. */
const ROOT_PROBE = 'mount -t tmpfs tmpfs /sys && cd /sys && { ! command -v pivot_root >/dev/null || pivot_root . .; }';

/** Statuses of a probe that could enter the namespace and nothing more. */
const ROOT_REFUSED = 4;
const PROC_REFUSED = 3;

const UNMASK =
  'Start the container with --security-opt systempaths=unconfined (Kubernetes: procMount: Unmasked with hostUsers: false)';

/** Enters a namespace with these ids as a build does, and mounts a /proc there as a step does. */
export async function attemptNamespace(maps: IdMaps): Promise<NamespaceFinding> {
  // the root last: nothing can be found there afterwards
  const script = `"$@" 2>/dev/null || status=${PROC_REFUSED}; { ${ROOT_PROBE}; } 2>/dev/null || exit ${ROOT_REFUSED}; exit $\{status:-0}`;
  try {
    const { ended } = await startInNamespace(['sh', '-c', script, 'sh', ...PROC_PROBE], maps, {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    const status = await ended;
    if (status === 0) return { proc: 'own' };
    if (status === PROC_REFUSED) return { proc: 'container', reason: 'parts of /proc are covered', fix: UNMASK };
    const failure = status === ROOT_REFUSED ? rootRefused() : explainRefusal();
    return { proc: 'none', reason: failure.message, fix: failure.hint, failure };
  } catch (failure) {
    if (!(failure instanceof BuildError)) throw failure;
    return { proc: 'none', reason: failure.message, fix: failure.hint, failure };
  }
}

/** As with --cap-add SYS_ADMIN: Docker's profile then allows namespaces and mounts, but no pivot_root. */
const rootRefused = (): BuildError =>
  new BuildError('E_MOUNT_DENIED', 'Cannot change the root in a namespace: mount or pivot_root is refused', {
    hint: 'Start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined',
  });

const DOCKER_DEFAULT = "Give the container Docker's default capabilities: CHROOT, MKNOD, CHOWN, SETUID, SETGID";

/** Changes root and makes a device, as a step without namespaces does. */
export async function attemptChroot(): Promise<{ readonly refusal?: Omit<Refusal, 'letter'> }> {
  const directory = mkdtempSync(join(tmpdir(), 'tsbuild-probe-'));
  try {
    const script = 'mknod "$1/null" c 1 3 && exec chroot / true';
    const complaint = await complaintOf('sh', ['-c', script, 'sh', directory]);
    if (complaint === undefined) return {};
    return { refusal: { reason: `chroot and mknod are refused: ${complaint}`, fix: DOCKER_DEFAULT } };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What a command says when it fails; undefined: it did not. */
function complaintOf(program: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    // absent where the process could not be started
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code) => resolve(code === 0 ? undefined : text.trim() || `status ${code}`));
  });
}
