import { BuildError } from '../../errors.ts';
import type { Node, RunOp } from '../../graph/index.ts';
import type { CommittedLayer, LayerLibrary, RootView } from '../../layers/index.ts';
import { formatPlatform, hostPlatform, type Layer, type MtimeRule } from '../../oci/index.ts';
import { caTrust } from '../ca-trust.ts';
import { OutputTail } from '../output-tail.ts';
import type { RunSettings } from '../run-settings.ts';
import type { ExitStatus, ProcessSpec, Sandbox } from '../sandbox/index.ts';
import { resolveUser } from '../users.ts';
import { type MountSources, type OpenMounts, openMounts } from './run-mounts.ts';

/** What a step sees as its host name: constant, so that it cannot make two builds differ. */
const HOSTNAME = 'tsbuild';
/** Docker's and BuildKit's default (containerfile-reference section 10). */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface RunRequest {
  readonly node: Node;
  readonly op: RunOp;
  readonly parent: readonly Layer[];
  readonly library: LayerLibrary;
  readonly sandbox: Sandbox;
  readonly mtimeRule: MtimeRule | undefined;
  readonly settings: RunSettings;
  /** The roots that its mounts read: inputs after the parent, in order. */
  readonly inputs: readonly (readonly Layer[])[];
  readonly sources: MountSources;
  readonly onWait: (message: string) => void;
  readonly onOutput: (stream: 'stdout' | 'stderr', chunk: Uint8Array) => void;
  readonly signal: AbortSignal;
}

/** Runs a RUN in the sandbox and freezes what it wrote. Throws `E_RUN_*` with the step's place and last lines. */
export async function runStep(request: RunRequest): Promise<CommittedLayer> {
  const { op, parent, library, sandbox, signal } = request;
  await using mounts = await openMounts(request);
  await using snapshot = await library.snapshotter.prepare(parent);
  // Afterwards: the layers are unpacked now, and looking into them needs no index of their tars.
  const spec = await processSpec(request, await library.view(parent), mounts);
  const tail = new OutputTail();
  const io = {
    onOutput: (stream: 'stdout' | 'stderr', chunk: Uint8Array): void => {
      tail.add(chunk);
      request.onOutput(stream, chunk);
    },
  };
  const { timeoutMs } = request.settings;
  const limit = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const ended = limit === undefined ? signal : AbortSignal.any([signal, limit]);
  const { status, stubs } = await sandbox.run(spec, snapshot.mount, io, ended).catch((error: unknown) => {
    if (limit?.aborted && !signal.aborted) throw timedOut(request, tail.lines());
    throw atMount(op, error);
  });
  signal.throwIfAborted();
  if (status.kind !== 'exited' || status.code !== 0) {
    const shell = { ...spec, argv: [shellOf(op)], env: { TERM: 'xterm', ...spec.env } };
    await request.settings.inspect?.(request.node.id, (shown, end) => sandbox.run(shell, snapshot.mount, shown, end));
    throw failure(request, status, tail.lines());
  }
  return await snapshot.commit({ exclude: stubs, mtimeRule: request.mtimeRule });
}

/** The one that ran the command, if one did. */
const shellOf = ({ argv }: RunOp): string => (isShellForm(argv) ? argv[0] : undefined) ?? '/bin/sh';
const isShellForm = (argv: readonly string[]): boolean => /^-\w*c$/.test(argv.at(-2) ?? '');

function timedOut({ node, op, settings }: RunRequest, outputTail: readonly string[]): BuildError {
  const seconds = (settings.timeoutMs ?? 0) / 1000;
  return new BuildError('E_RUN_TIMEOUT', `RUN took longer than ${seconds} s: ${commandText(op)}`, {
    range: node.range,
    outputTail,
    hint: 'Look at the output above for what it waits for, or give it more time with --timeout',
    fields: { timeoutSeconds: seconds },
  });
}

/** A mount that failed is named by its target: its place says more than that of the whole RUN. */
function atMount({ mounts }: RunOp, error: unknown): unknown {
  if (!(error instanceof BuildError)) return error;
  const mount = mounts.find(({ target }) => target !== undefined && target === error.fields.target);
  return mount ? error.at(mount.range) : error;
}

async function processSpec({ op, settings }: RunRequest, view: RootView, mounts: OpenMounts): Promise<ProcessSpec> {
  const user = await resolveUser(view, op.user);
  const trust = await caTrust(view, settings.caCertificates ?? []);
  const env: Record<string, string> = {
    PATH: DEFAULT_PATH,
    HOME: user.home,
    ...trust?.env,
    ...mounts.defaultEnv,
    ...Object.fromEntries(settings.proxyEnv ?? []),
    ...Object.fromEntries(op.proxyEnv),
    ...Object.fromEntries(op.env),
    ...mounts.env,
  };
  const directories = await Promise.all(
    op.pending.map(async ({ path, user: owner }) => ({ path, ...idsOf(await resolveUser(view, owner)) })),
  );
  return {
    argv: op.argv,
    env,
    cwd: op.cwd,
    uid: user.uid,
    gid: user.gid,
    groups: user.groups,
    network: op.network,
    hostname: settings.sandbox?.hostname ?? HOSTNAME,
    // a working directory that the base image names but does not have is made too, as OCI runtimes do
    directories: [...directories, { path: op.cwd, uid: 0, gid: 0 }],
    files: [...op.files, ...(trust?.files ?? [])],
    // one of the instruction covers one of the command line
    mounts: [...(settings.mounts ?? []), ...mounts.mounts],
    settings: settings.sandbox,
  };
}

const idsOf = ({ uid, gid }: { uid: number; gid: number }): { uid: number; gid: number } => ({ uid, gid });

/** A shell's own statuses (POSIX 2.8.2) and what they usually mean in a build. */
const ADVICE: Readonly<Record<number, string>> = {
  126: 'The file is there but cannot be executed: check its mode and its "#!" line',
  127: 'The command is not in the image: install it in an earlier RUN, or check PATH',
  137: 'The process was killed, often for lack of memory: try --jobs 1, or give the build more memory',
};

const MAX_SHOWN = 200;

/** The command as its author knows it, on one line: without the shell, a script by its first line that does something. */
function commandText({ argv, files }: RunOp): string {
  const [script] = files;
  const text = script?.content ?? (isShellForm(argv) ? argv.at(-1) : argv.join(' ')) ?? '';
  const lines = text.split('\n').map((line) => line.trim());
  const telling = lines.filter((line) => line !== '' && !/^(#|set [-+])/.test(line));
  const [first = lines[0] ?? ''] = telling;
  const isWhole = telling.length <= 1 && first.length <= MAX_SHOWN;
  return isWhole ? first : `${first.slice(0, MAX_SHOWN)} ...`;
}

const NOT_THERE = 'The program must be in the image built so far: check the base image, SHELL and the exec form';

const emulationHint = (platform: string): string =>
  `The kernel runs programs for ${platform} only where binfmt_misc has an interpreter for them (Debian: qemu-user-static)`;

/** undefined: what every step here is for. */
function foreignPlatform({ platform }: RunRequest['node']): string | undefined {
  const [own, wanted] = [formatPlatform(hostPlatform()), formatPlatform(platform)];
  return own === wanted ? undefined : wanted;
}

function failure({ node, op }: RunRequest, status: ExitStatus, outputTail: readonly string[]): BuildError {
  const shown = commandText(op);
  const common = { range: node.range, outputTail };
  const platform = foreignPlatform(node);
  const place = platform === undefined ? '' : ` for ${platform}`;
  if (status.kind === 'not-started') {
    return new BuildError('E_RUN_NOT_STARTED', `Cannot start "${op.argv[0] ?? ''}"${place}: ${status.reason}`, {
      ...common,
      hint: platform !== undefined && status.reason.includes('exec format') ? emulationHint(platform) : NOT_THERE,
    });
  }
  if (status.kind === 'signaled') {
    return new BuildError('E_RUN_SIGNALED', `RUN${place} was ended by ${status.signal}: ${shown}`, {
      ...common,
      hint: status.signal === 'SIGKILL' ? (ADVICE[137] ?? '') : 'Look at the output above for the cause',
      fields: { signal: status.signal },
    });
  }
  return new BuildError('E_RUN_FAILED', `RUN${place} failed with exit status ${status.code}: ${shown}`, {
    ...common,
    hint: ADVICE[status.code] ?? 'Fix the command; the steps before it are cached and will not run again',
    fields: { exitStatus: status.code },
  });
}
