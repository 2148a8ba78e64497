import { Command } from 'commander';
import { BuildError, type ProgramResult, parsePublish } from '../../index.ts';
import { exitCodeOf } from '../failure.ts';
import { parseNetwork } from '../network-option.ts';
import { RUNTIME_FAILED } from '../program-args.ts';
import { progressMode } from '../render/create.ts';
import { parseVolume } from '../sandbox-values.ts';
import { type CommandContext, inSession, type Session, selfCommand } from '../session.ts';
import { usageError } from '../usage.ts';
import { userStreams } from '../user-streams.ts';
import { collect, parseBoolean } from '../values.ts';
import {
  authfileOption,
  caFileOption,
  globalsOf,
  progressOption,
  type Registrar,
  tlsVerifyOption,
  withExamples,
} from './command.ts';

interface AttachFlags {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly env?: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
}

interface RunFlags extends AttachFlags {
  readonly detach?: boolean;
  readonly rm?: boolean;
  readonly name?: string;
  readonly publish?: readonly string[];
  readonly volume?: readonly string[];
  readonly entrypoint?: string;
  readonly network: string;
  readonly progress: string;
  readonly tlsVerify: string;
  readonly caFile?: string;
  readonly authfile?: string;
}

function addAttachOptions(command: Command): Command {
  return command
    .option('-i, --interactive', 'give it our standard input')
    .option('-t, --tty', 'give it a terminal')
    .option('-e, --env <name[=value]>', 'variable; without a value that of the environment (repeatable)', collect)
    .option('-u, --user <user[:group]>', "names or numbers (default: the image's USER)")
    .option('-w, --workdir <dir>', "working directory (default: the image's WORKDIR)");
}

export function runCommand(registrar: Registrar): Command {
  const command = addAttachOptions(
    new Command('run')
      .description(
        'run an image in a container; its exit status is that of the program, 125 if that could not be started',
      )
      .argument('<image>', 'name or ID; pulled where the store has none')
      .argument('[command...]', "program and arguments instead of the image's CMD"),
  )
    .option('-d, --detach', 'let it run in the background; prints the container ID')
    .option('--rm', 'remove the container when it ends')
    .option('--name <name>', 'name of the container (default: one after the image)')
    .option(
      '-p, --publish <[[address:]host:]port>',
      'answer on a port of this machine for one of the container; ranges as 8000-8002:80-82 (repeatable)',
      collect,
    )
    .option('-v, --volume <source:target[:ro]>', 'show it a directory or file of this machine (repeatable)', collect)
    .option('--entrypoint <program>', "instead of the image's ENTRYPOINT; its CMD is not used either")
    .option(
      '--network <mode>',
      'host, none (only lo), private, or private by pasta or slirp4netns (default: its own with -p, else as in build)',
      'default',
    )
    .addOption(progressOption().default('plain'))
    .addOption(tlsVerifyOption())
    .addOption(caFileOption())
    .addOption(authfileOption());
  withExamples(command, [
    'tsbuild run --rm -it image0 sh',
    'tsbuild run -d -p 8001:80 image0',
    'tsbuild run --rm -v .:/src:ro -w /src image0 make test',
  ]);
  return command.action(async (image: string, words: readonly string[], flags: RunFlags) => {
    registrar.setExitCode(await runImage(await registrar.context(), { command, image, words, flags }));
  });
}

interface Running {
  readonly command: Command;
  readonly image: string;
  readonly words: readonly string[];
  readonly flags: RunFlags;
}

function runImage(context: CommandContext, { command, image, words, flags }: Running): Promise<number> {
  const { host, operations } = context;
  const settings = { ...globalsOf(command), progress: progressMode(flags.progress) };
  return inSession(context, settings, (session) =>
    asProgram(session, context, () =>
      operations.runContainer({
        ...session.options,
        ...attaching(flags, context),
        image,
        command: words,
        name: flags.name,
        isDetached: flags.detach === true,
        isTransient: flags.rm === true,
        publish: (flags.publish ?? []).flatMap(parsePublish),
        volumes: (flags.volume ?? []).map(parseVolume),
        entrypoint: flags.entrypoint,
        network: parseNetwork(flags.network),
        tlsVerify: parseBoolean('--tls-verify', flags.tlsVerify),
        caFile: flags.caFile,
        authfile: flags.authfile,
        onDetached: (id) => void host.stdout.write(`${id}\n`),
      }),
    ),
  );
}

export function execCommand(registrar: Registrar): Command {
  const command = addAttachOptions(
    new Command('exec')
      .description('run another program in a container that runs')
      .argument('<container>', 'name or ID')
      .argument('<command...>', 'program and arguments'),
  );
  withExamples(command, ['tsbuild exec -it web sh', 'tsbuild exec web cat /etc/os-release']);
  return command.action(async (container: string, words: readonly string[], flags: AttachFlags) => {
    const context = await registrar.context();
    const code = await inSession(context, { ...globalsOf(command), progress: 'plain' }, (session) =>
      asProgram(session, context, () =>
        context.operations.execInContainer(container, {
          ...session.options,
          ...attaching(flags, context),
          command: words,
        }),
      ),
    );
    registrar.setExitCode(code);
  });
}

export function unshareCommand(registrar: Registrar): Command {
  const command = new Command('unshare')
    .description('run a program of this machine in the user namespace of builds, where you are root over your sub-ids')
    .argument('[command...]', 'program and arguments (default: $SHELL)');
  withExamples(command, ['tsbuild unshare', 'tsbuild unshare ls -ln ~/.local/share/tsbuild/layers']);
  return command.action(async (words: readonly string[]) => {
    const context = await registrar.context();
    const { host, operations } = context;
    const [program = host.env.SHELL || 'sh', ...args] = words;
    const code = await inSession(context, { ...globalsOf(command), progress: 'plain' }, ({ options }) =>
      operations.runUnshared([program, ...args], { ...options, streams: userStreams(host) }),
    );
    registrar.setExitCode(code);
  });
}

const attaching = (flags: AttachFlags, { host }: CommandContext) => ({
  hasInput: flags.interactive === true,
  hasTerminal: flags.tty === true,
  variables: variablesOf(flags.env ?? [], host.env),
  user: flags.user,
  cwd: absolute(flags.workdir),
  streams: userStreams(host),
  self: selfCommand(host),
});

function absolute(directory: string | undefined): string | undefined {
  if (directory === undefined || directory.startsWith('/')) return directory;
  throw usageError(`--workdir "${directory}" is not absolute`, 'it is a path in the container');
}

/** `K=V`; `K` alone has the value of the environment, and where that has none it is not set. */
function variablesOf(texts: readonly string[], env: CommandContext['host']['env']): Record<string, string | undefined> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf('=');
      const name = equals < 0 ? text : text.slice(0, equals);
      if (name === '') throw usageError(`--env "${text}" has no name`, 'write --env NAME=VALUE');
      return [name, equals < 0 ? env[name] : text.slice(equals + 1)];
    }),
  );
}

/** 128 + SIGPIPE: `tsbuild run ... | head` is no failure to speak of. */
const NOBODY_READS = 141;

/** The status of the program; of what kept it from running 125, or what a shell would say (126, 127). */
async function asProgram(
  { renderer }: Session,
  { host }: CommandContext,
  work: () => Promise<ProgramResult>,
): Promise<number> {
  try {
    return (await work()).exitCode;
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    if (error.fields.exitStatus !== NOBODY_READS) renderer.failed(error);
    if (error.code === 'E_CANCELLED') return Number(error.fields.exitStatus ?? exitCodeOf(error, host.signal));
    return Number(error.fields.exitStatus ?? RUNTIME_FAILED);
  }
}
