import { statSync } from 'node:fs';
import { Command } from 'commander';
import type { BuildOptions, BuildResult, Delegated, OutputSpec, Report } from '../../index.ts';
import { readBuildArgFiles } from '../build-arg-file.ts';
import { addCacheOptions, type CacheFlags, cacheOptions, refuseInlineCache } from '../build-options/cache.ts';
import { addImageOptions, type ImageFlags, imageOptions, refuseAnnotations } from '../build-options/image.ts';
import { addLimitOptions } from '../build-options/limits.ts';
import { addResultOptions, type ResultFlags, resultOptions, writeResultFiles } from '../build-options/results.ts';
import { addSandboxOptions, type SandboxFlags, sandboxOptions } from '../build-options/sandbox.ts';
import { addTimeOptions, type TimeFlags, timeOptions } from '../build-options/times.ts';
import { parseCall } from '../call-option.ts';
import type { Host } from '../host.ts';
import { parseNetwork } from '../network-option.ts';
import { progressMode } from '../render/create.ts';
import { parseSecrets } from '../secret-option.ts';
import { type CommandContext, type GlobalOptions, inSession, type Session, selfCommand } from '../session.ts';
import { parseSshIdentities } from '../ssh-option.ts';
import { readAll } from '../stdin.ts';
import { nearest, usageError } from '../usage.ts';
import { userStreams } from '../user-streams.ts';
import { collect, parseBoolean, parseBuildArgs, parseBuildContexts, parseJobs, pullPolicy } from '../values.ts';
import { version } from '../version.ts';
import {
  authfileOption,
  caFileOption,
  globalsOf,
  progressOption,
  type Registrar,
  tlsVerifyOption,
  withExamples,
} from './command.ts';

interface Flags extends ResultFlags, ImageFlags, TimeFlags, SandboxFlags, CacheFlags {
  readonly file?: readonly string[];
  readonly buildContext?: readonly string[];
  readonly ignorefile?: string;
  readonly buildArgFile?: readonly string[];
  readonly target?: string;
  readonly buildArg?: readonly string[];
  readonly pull: string;
  readonly network: string;
  readonly secret?: readonly string[];
  readonly ssh?: readonly string[];
  readonly jobs?: string;
  readonly quiet?: boolean;
  readonly progress: string;
  readonly tlsVerify: string;
  readonly caFile?: string;
  readonly authfile?: string;
  readonly check?: boolean;
  readonly call?: string;
  readonly print?: string;
}

/** The command `build`, which is also what runs without a command's name. */
export function buildCommand({ context, setExitCode }: Registrar): Command {
  const command = new Command('build')
    .description('build an image from a Containerfile; prints the image ID')
    .argument('[context]', 'what COPY and ADD read from: a directory, a URL, a git repository, or "-" for stdin', '.')
    .option(
      '-f, --file <path>',
      'the Containerfile; "-" reads it from stdin; several are read as one (default: Containerfile or Dockerfile in the context)',
      collect,
    )
    .option(
      '--build-context <name=source>',
      'what FROM, COPY --from and RUN --mount=from mean by this name: a directory, docker-image://NAME, oci-layout://DIR, a URL or a git repository (repeatable)',
      collect,
    )
    .option('--ignorefile <file>', 'use this ignore file, not those of the Containerfile and the context')
    .option('--target <stage>', 'build this stage instead of the last')
    .option(
      '--build-arg <name[=value]>',
      'value of an ARG; without a value taken from the environment (repeatable)',
      collect,
    )
    .option(
      '--build-arg-file <file>',
      'lines of name=value, "#" begins a comment; --build-arg wins (repeatable)',
      collect,
    )
    .option(
      '--pull <policy>',
      'when to fetch base images: always (so --pull alone), missing, newer or never',
      'missing',
    )
    .option(
      '--network <mode>',
      'network of RUN: default, host, none, private, or private by pasta or slirp4netns',
      'default',
    )
    .option('--secret <spec>', 'id=ID[,src=FILE|,env=NAME]: a secret for RUN --mount=type=secret (repeatable)', collect)
    .option(
      '--ssh <spec>',
      'default, or ID=SOCKET|KEY[,KEY...]: an agent for RUN --mount=type=ssh (repeatable)',
      collect,
    )
    .option(
      '--jobs <number>',
      'steps at once (default: number of processors, at least 4, as far as memory allows: 512 MiB each)',
    )
    .option('-q, --quiet', 'print the image ID only')
    .addOption(progressOption())
    .option('--check', 'look for mistakes in the Containerfile and run nothing; any warning is exit code 3')
    .option('--print <what>', 'graph, outline or targets: print it and run nothing; ",format=json" behind the last two')
    .option('--call <what>', "BuildKit's name of these: build, check, outline or targets[,format=json]")
    .addOption(tlsVerifyOption())
    .addOption(caFileOption())
    .addOption(authfileOption());
  addCacheOptions(command);
  addResultOptions(command);
  addImageOptions(command);
  addTimeOptions(command);
  addSandboxOptions(command);
  addLimitOptions(command);
  withExamples(command, [
    'tsbuild -t image0 -f Containerfile .',
    'tsbuild build --target test --build-arg VERSION=1.2 .',
    'tsbuild -t image0 -o type=oci,dest=image0.oci.tar .',
    'tsbuild -o type=tar,dest=- . | tar -t',
    'tsbuild build --check .',
  ]);
  return command.action(async (directory: string, flags: Flags) => {
    setExitCode(await runBuild(await context(), { directory, flags, globals: globalsOf(command) }));
  });
}

interface Request {
  readonly directory: string;
  readonly flags: Flags;
  readonly globals: GlobalOptions;
}

async function runBuild(context: CommandContext, { directory, flags, globals }: Request): Promise<number> {
  const { host, operations } = context;
  rejectMistypedCommand(directory);
  const progress = flags.quiet ? 'quiet' : progressMode(flags.progress);
  const results = resultOptions(flags);
  checkStdout(results.outputs, host.stdout.isTTY === true);
  const given = [...readBuildArgFiles(flags.buildArgFile ?? []), ...(flags.buildArg ?? [])];
  const buildArgs = parseBuildArgs(given, host.env);
  const times = timeOptions(flags, { buildArgs, env: host.env });
  const image = imageOptions(flags, { env: host.env, version });
  refuseAnnotations(image, results.format);
  const cache = cacheOptions(flags);
  refuseInlineCache(cache, results);
  const settings = {
    ...results,
    ...sandboxOptions(flags),
    ...image,
    ...times,
    ...cache,
    context: directory,
    contexts: parseBuildContexts(flags.buildContext ?? []),
    files: containerfiles(flags.file ?? []),
    ignoreFile: flags.ignorefile,
    stdin: flags.file?.includes('-') ? await readAll(host.stdin) : undefined,
    contextStdin: contextStdin(directory, flags.file ?? [], host),
    target: flags.target,
    pull: pullPolicy(flags.pull),
    network: parseNetwork(flags.network),
    secrets: parseSecrets(flags.secret ?? []),
    ssh: parseSshIdentities(flags.ssh ?? [], host.env),
    jobs: parseJobs(flags.jobs),
    call: parseCall(flags, progress === 'json'),
    tlsVerify: parseBoolean('--tls-verify', flags.tlsVerify),
    caFile: flags.caFile,
    authfile: flags.authfile,
    // what is printed there is not the result
    user: userStreams(host, (_, chunk) => void host.stderr.write(chunk)),
    stdout: host.archiveStdout,
    self: selfCommand(host),
  } satisfies Omit<BuildOptions, 'emit' | 'signal' | 'env'>;
  return inSession(context, { ...globals, progress, explainsCache: flags.explainCache === true }, async (session) => {
    const result = await operations.build({ ...settings, ...session.options });
    return report(result, { flags, outputs: results.outputs, session, context });
  });
}

interface Reporting {
  readonly flags: Flags;
  readonly outputs: readonly OutputSpec[];
  readonly session: Session;
  readonly context: CommandContext;
}

function report(result: BuildResult | Delegated | Report, reporting: Reporting): number {
  const { flags, outputs, session, context } = reporting;
  switch (result.kind) {
    case 'delegated':
      return result.exitCode;
    case 'report':
      context.host.stdout.write(result.text);
      if (result.error) session.renderer.failed(result.error);
      return result.exitCode;
    case 'built':
      writeResultFiles(result, flags);
      session.renderer.built({ ...result, title: flags.tag?.[0] ?? result.imageId.slice(0, 'sha256:'.length + 12) });
      if (!outputs.some(({ dest }) => dest === '-')) context.host.stdout.write(`${result.imageId}\n`);
      return 0;
    default:
      return result satisfies never;
  }
}

function containerfiles(files: readonly string[]): readonly string[] {
  if (files.filter((file) => file === '-').length > 1)
    throw usageError('Only one Containerfile can come from stdin ("-")');
  return files;
}

/** Both would be read from one stream. */
function contextStdin(directory: string, files: readonly string[], host: Host): Host['stdin'] | undefined {
  if (directory !== '-') return undefined;
  if (!files.includes('-')) return host.stdin;
  throw usageError('Only one of the context and the Containerfile can come from stdin ("-")', 'leave "-f -" out');
}

function checkStdout(outputs: readonly OutputSpec[], isTerminal: boolean): void {
  const streams = outputs.filter(({ dest }) => dest === '-').length;
  if (streams > 1) throw usageError('Only one output can go to stdout ("-")');
  if (streams === 1 && isTerminal) {
    throw usageError('Cannot write an archive to a terminal', 'redirect stdout or give dest=FILE');
  }
}

const COMMAND_NAMES =
  'pull push load images tag rmi inspect diff import login logout prune store info version help run ps exec logs stop rm unshare'.split(
    ' ',
  );

/** `tsbuild imags` would be a build of the context "imags"; where there is no such directory, a command was meant. */
function rejectMistypedCommand(directory: string): void {
  if (statSync(directory, { throwIfNoEntry: false }) !== undefined) return;
  const name = nearest(directory, COMMAND_NAMES);
  if (name === undefined) return;
  throw usageError(`"${directory}" is neither a command nor a directory`, `did you mean "tsbuild ${name}"?`);
}
