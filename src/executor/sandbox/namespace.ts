import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, writeFileSync, writeSync } from 'node:fs';
import type { Server } from 'node:net';
import { constants } from 'node:os';
import type { Duplex, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { BuildError } from '../../errors.ts';
import type { Owners } from '../../layers/index.ts';
import { formatIdMap, type IdRange } from './id-map.ts';
import { chooseIdMaps, type IdMaps, lookupHelper, ownersWith } from './id-source.ts';
import type { NamespaceRung } from './ladder.ts';
import { muteStandardStreams, outliveParent } from './process-calls.ts';
import { explainRefusal } from './refusal.ts';

export const MARKER = 'TSBUILD_NAMESPACE';
const PROC = 'TSBUILD_PROC';
const OWNERS = 'TSBUILD_OWNERS';

/** glibc: memory that is free goes back instead of being kept for buffers of the largest size seen (20 MB less). */
const SMALL_HEAP = {
  MALLOC_MMAP_THRESHOLD_: '1048576',
  MALLOC_TRIM_THRESHOLD_: '1048576',
  MALLOC_ARENA_MAX: '2',
} as const;

/** How to run this very program again, with the same arguments. */
export interface SelfCommand {
  readonly execPath: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Whether a process with this environment was started by `enterNamespace`. */
export const isInsideNamespace = (env: Readonly<Record<string, string | undefined>>): boolean => env[MARKER] === '1';

/**
 * How files say whose they are in the namespace of this run. Inside of it the outer process has decided; outside, the variable
 * asks for one, and else the user's sub-ids decide.
 */
export function ownersOf(env: Readonly<Record<string, string | undefined>>): Owners {
  const asked = askedOwners(env);
  if (isInsideNamespace(env)) return asked ?? 'real';
  try {
    return ownersWith(chooseIdMaps({ path: env.PATH, owners: asked }));
  } catch {
    return 'real'; // what is missing is said when the namespace is entered
  }
}

/** What the environment asks for. Throws `E_USAGE`. */
export function askedOwners(env: Readonly<Record<string, string | undefined>>): Owners | undefined {
  const asked = env[OWNERS];
  if (asked === undefined || asked === '') return undefined;
  if (asked === 'real' || asked === 'recorded') return asked;
  throw new BuildError('E_USAGE', `Cannot use the environment variable ${OWNERS}="${asked}"`, {
    hint: 'It is "recorded" (never use sub-ids) or "real" (fail without them); leave it out for the better of the two',
  });
}

/** Which /proc the steps of a process that `enterNamespace` started have: one of their own, or that of the container. */
export const procInNamespace = (env: Readonly<Record<string, string | undefined>>): 'own' | 'container' =>
  env[PROC] === 'container' ? 'container' : 'own';

export interface NamespaceOptions {
  /** Given to the inner process as its standard input; absent: it inherits ours. */
  readonly stdin?: Uint8Array | undefined;
  /** Given to the inner process by a pipe, as its descriptor `SIDE_FD`. For what may stand in no argument and no variable. */
  readonly side?: Uint8Array | undefined;
  /** Handed down as the descriptors from `HANDED_FD` on, and closed here. */
  readonly handed?: readonly Server[] | undefined;
  /**
   * The inner process goes on alone: as soon as it has called `leaveParent`, this one is done, with status 0. Until then
   * it is as always.
   */
  readonly isBackground?: boolean | undefined;
  /** It stays in our session, with the terminal: for a shell, which wants its keys itself. */
  readonly keepsSession?: boolean | undefined;
  /** Passed on to the inner process. Default: INT, TERM, HUP, WINCH. */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  readonly rung?: NamespaceRung | undefined;
}

export const SIDE_FD = 4;
const READY_FD = 5;
export const HANDED_FD = 6;

/** Descriptor 3 is the line to the parent: "ready" goes out, and a line comes back when the ids are mapped. */
const SCRIPT = 'echo ready >&3; read -r answer <&3 || exit 125; exec 3>&-; exec "$@"';

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGWINCH'] as const;

/**
 * Runs this command again in a user and mount namespace of its own, as root over the ids of the user, and returns its exit
 * status (128+n for a signal). The inner process has our standard streams but a session of its own, so that a signal
 * reaches it exactly once: through us. It has to call `dieWithParent`, which `BuiltinSandbox` does.
 * `rung`: what `climb` chose. Throws `E_NO_SUBUID` or `E_NO_USERNS`.
 */
export async function enterNamespace(self: SelfCommand, options: NamespaceOptions = {}): Promise<number> {
  const { stdin, side, rung, handed = [], isBackground = false, keepsSession, signals = FORWARDED } = options;
  const maps = rung?.maps ?? chooseIdMaps({ path: self.env.PATH, owners: askedOwners(self.env) });
  const { child, opened, ended } = spawnInNamespace([self.execPath, ...self.args], maps, {
    env: { ...SMALL_HEAP, ...self.env, [MARKER]: '1', [OWNERS]: ownersWith(maps), [PROC]: rung?.proc ?? 'own' },
    stdio: [stdin !== undefined ? 'pipe' : isBackground ? 'ignore' : 'inherit', 'inherit', 'inherit'],
    extra: [side ? 'pipe' : 'ignore', isBackground ? 'pipe' : 'ignore', ...handed.map(descriptorOf)],
    keepsSession,
  });
  const stopForwarding = forwardSignals(child, signals);
  try {
    for (const server of handed) server.close();
    await opened;
    if (stdin !== undefined) feed(child.stdin, stdin);
    if (side !== undefined) feed(child.stdio[SIDE_FD], side);
    return await (isBackground ? Promise.race([ended, whenReady(child)]) : ended);
  } finally {
    stopForwarding();
  }
}

/** Node has no public word for it, and takes no server in `stdio`. */
function descriptorOf(server: Server): number {
  const { _handle } = server as unknown as { readonly _handle?: { readonly fd: number } };
  if (_handle === undefined || _handle.fd < 0)
    throw new BuildError('E_INTERNAL', 'A listening socket has no descriptor');
  return _handle.fd;
}

/** Resolves with the status 0; never, where the inner process ends before. */
function whenReady(child: ChildProcess): Promise<number> {
  const all: readonly unknown[] = child.stdio; // the types know five only
  const line = all[READY_FD] as Duplex; // as that of openNamespace
  line.on('error', () => {});
  return new Promise((resolve) => line.once('data', () => resolve(0)));
}

/**
 * For the inner process of a background `enterNamespace`: the outer one is done now, and its death is no matter any more.
 * The standard streams are /dev/null from here on, so that whoever waits for the end of our output does not wait for us.
 */
export function leaveParent(): void {
  outliveParent();
  muteStandardStreams();
  writeSync(READY_FD, 'ready');
  closeSync(READY_FD);
}

export interface NamespaceSpawn {
  readonly env: NodeJS.ProcessEnv;
  readonly stdio: readonly ('inherit' | 'pipe' | 'ignore')[];
  /** From `SIDE_FD` on. */
  readonly extra?: readonly ('pipe' | 'ignore' | number)[];
  readonly keepsSession?: boolean | undefined;
}

/** Starts a command as root over `maps` and returns when it runs. Throws `E_NO_SUBUID` or `E_NO_USERNS`. */
export async function startInNamespace(
  command: readonly string[],
  maps: IdMaps,
  options: NamespaceSpawn,
): Promise<{ readonly ended: Promise<number> }> {
  const { opened, ended } = spawnInNamespace(command, maps, options);
  await opened;
  return { ended };
}

function spawnInNamespace(command: readonly string[], maps: IdMaps, options: NamespaceSpawn) {
  const { env, stdio, extra = [], keepsSession = false } = options;
  const args = ['--user', '--mount', '--propagation', 'private', 'sh', '-c', SCRIPT, 'sh', ...command];
  const child = spawn('unshare', args, { env, stdio: [...stdio, 'pipe', ...extra], detached: !keepsSession });
  const ended = exitOf(child);
  return { child, ended, opened: openNamespace(child, maps, ended) };
}

export function forwardSignals(child: ChildProcess, signals: readonly NodeJS.Signals[]): () => void {
  const forward = (signal: NodeJS.Signals) => void child.kill(signal);
  for (const name of signals) process.on(name, forward);
  return () => {
    for (const name of signals) process.off(name, forward);
  };
}

export function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => {
      const hint = 'Install util-linux, which has the "unshare" command';
      reject(new BuildError('E_NO_USERNS', 'Cannot start "unshare"', { hint, cause }));
    });
    child.once('exit', (code, signal) => resolve(signal ? 128 + constants.signals[signal] : (code ?? 1)));
  });
}

async function openNamespace(child: ChildProcess, maps: IdMaps, ended: Promise<number>): Promise<void> {
  // A `pipe` in stdio is a socket pair, so it goes both ways; the types only know Readable | Writable.
  // Where the process could not be started there are no streams at all: `ended` says why.
  const line = child.stdio?.[3] as Duplex | undefined;
  if (line === undefined) return void (await ended);
  line.on('error', () => {}); // it ends with the child, whose exit status says more
  const isReady = await new Promise<boolean>((resolve, reject) => {
    line.once('data', () => resolve(true));
    line.once('end', () => resolve(false));
    ended.catch(reject);
  });
  if (!isReady) {
    refuseSignaled(await ended);
    throw explainRefusal();
  }
  try {
    await writeMaps(child.pid ?? 0, maps);
  } catch (cause) {
    child.kill('SIGKILL');
    const status = await ended;
    // a signal that came before ours is why there was nothing to map
    if (status !== 128 + constants.signals.SIGKILL) refuseSignaled(status);
    throw cause;
  }
  line.end('go\n');
}

/** `status`: as a shell has it. */
function refuseSignaled(status: number): void {
  if (status <= 128) return;
  throw new BuildError('E_CANCELLED', 'Cancelled before the first step', { fields: { exitStatus: status } });
}

async function writeMaps(pid: number, { uids, gids, writer }: IdMaps): Promise<void> {
  try {
    if (writer !== 'newuidmap') {
      if (writer === 'single') writeFileSync(`/proc/${pid}/setgroups`, 'deny');
      writeFileSync(`/proc/${pid}/uid_map`, formatIdMap(uids));
      writeFileSync(`/proc/${pid}/gid_map`, formatIdMap(gids));
      return;
    }
    const run = promisify(execFile);
    await run(lookupHelper('newuidmap') ?? 'newuidmap', [String(pid), ...flatten(uids)]);
    await run(lookupHelper('newgidmap') ?? 'newgidmap', [String(pid), ...flatten(gids)]);
  } catch (cause) {
    throw new BuildError('E_NO_SUBUID', 'Cannot map the user ids of the namespace', {
      hint: 'Check that newuidmap and newgidmap are setuid root (in a container: setcap cap_setuid=ep newuidmap, setcap cap_setgid=ep newgidmap), and that /etc/subuid and /etc/subgid name ranges that exist',
      cause,
    });
  }
}

const flatten = (map: readonly IdRange[]): string[] =>
  map.flatMap(({ inside, outside, count }) => [inside, outside, count].map(String));

function feed(stream: ChildProcess['stdio'][number] | undefined, bytes: Uint8Array): void {
  // An inner process that ends without reading is no error of ours.
  stream?.on('error', () => {});
  // Our end of a `pipe`, which the types know as Readable | Writable.
  (stream as Writable | null | undefined)?.end(bytes);
}
