import { Command } from 'commander';
import { type ContainerSummary, formatPort } from '../../index.ts';
import { ago, formatTable } from '../render/format.ts';
import { type CommandContext, inSession, type Session, selfCommand } from '../session.ts';
import { usageError } from '../usage.ts';
import { choice } from '../values.ts';
import { globalsOf, type Registrar, withExamples } from './command.ts';

/** Runs one command over containers. */
async function onContainers(
  { context, setExitCode }: Registrar,
  command: Command,
  work: (session: Session, context: CommandContext) => Promise<number>,
): Promise<void> {
  const opened = await context();
  const settings = { ...globalsOf(command), progress: 'plain' } as const;
  setExitCode(await inSession(opened, settings, (session) => work(session, opened)));
}

interface PsFlags {
  readonly all?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
  readonly format: string;
}

export function psCommand(registrar: Registrar): Command {
  const command = new Command('ps')
    .description('list the containers that run')
    .option('-a, --all', 'those that have ended, too')
    .option('-q, --quiet', 'print IDs only')
    .option('--json', 'the same as --format json')
    .option('--format <format>', 'table or json', 'table');
  withExamples(command, ['tsbuild ps -a', 'tsbuild rm -f $(tsbuild ps -aq)']);
  return command.action((flags: PsFlags) =>
    onContainers(registrar, command, async ({ options }, { host, operations }) => {
      const format = choice('--format', flags.json ? 'json' : flags.format, ['table', 'json']);
      const found = await operations.listContainers({ all: flags.all === true }, options);
      if (flags.quiet) host.stdout.write(found.map(({ id }) => `${id.slice(0, SHORT)}\n`).join(''));
      else if (format === 'json') host.stdout.write(`${JSON.stringify(found, undefined, 2)}\n`);
      else host.stdout.write(formatTable([TITLES, ...found.map((container) => row(container, Date.now()))]));
      return 0;
    }),
  );
}

const SHORT = 12;
const TITLES = ['CONTAINER ID', 'IMAGE', 'COMMAND', 'CREATED', 'STATUS', 'PORTS', 'NAME'];
const COMMAND_WIDTH = 24;

function row(container: ContainerSummary, now: number): string[] {
  const { id, image, command, created, ports, name } = container;
  const text = command.join(' ').replace(/\s+/g, ' ');
  return [
    id.slice(0, SHORT),
    image,
    text.length > COMMAND_WIDTH ? `${text.slice(0, COMMAND_WIDTH - 3)}...` : text,
    `${ago(created, now)} ago`,
    statusText(container, now),
    ports.map(formatPort).join(', ') || '-',
    name,
  ];
}

function statusText({ status, started, ended, exitCode }: ContainerSummary, now: number): string {
  switch (status) {
    case 'starting':
      return 'Starting';
    case 'running':
      return `Up ${ago(started ?? '', now)}`;
    case 'exited':
      return `Exited (${exitCode}) ${ago(ended ?? '', now)} ago`;
    case 'lost':
      return 'Lost: its monitor was killed, and nothing of it runs';
    case 'elsewhere':
      return 'Unknown: started in another pid namespace';
    default:
      return status satisfies never;
  }
}

export function logsCommand(registrar: Registrar): Command {
  const command = new Command('logs')
    .description('print what a container wrote: its newest 8 MiB at least')
    .argument('<container>', 'name or ID')
    .option('-f, --follow', 'go on until it ends');
  withExamples(command, ['tsbuild logs -f web']);
  return command.action((name: string, flags: { readonly follow?: boolean }) =>
    onContainers(registrar, command, async ({ options }, { host, operations }) => {
      const chunks = operations.containerLogs(name, { follow: flags.follow === true }, options);
      for await (const { stream, bytes } of chunks) host[stream].write(bytes);
      return options.signal.aborted ? 130 : 0;
    }),
  );
}

export function stopCommand(registrar: Registrar): Command {
  const command = new Command('stop')
    .description('ask containers to end, by their STOPSIGNAL or SIGTERM; those that do not are killed')
    .argument('<containers...>', 'names or IDs')
    .option('-t, --time <seconds>', 'how long to wait before they are killed', '10');
  withExamples(command, ['tsbuild stop web', 'tsbuild stop -t 0 $(tsbuild ps -q)']);
  return command.action((names: readonly string[], { time }: { readonly time: string }) =>
    onContainers(registrar, command, async ({ options }, { host, operations }) => {
      const seconds = secondsOf(time);
      for await (const name of operations.stopContainers(names, { seconds }, options)) host.stdout.write(`${name}\n`);
      return 0;
    }),
  );
}

function secondsOf(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw usageError(`--time "${text}" is no number of seconds`);
}

export function rmCommand(registrar: Registrar): Command {
  const command = new Command('rm')
    .description('remove containers that have ended, with their logs')
    .argument('<containers...>', 'names or IDs')
    .option('-f, --force', 'kill those that run, and do not fail on those that are not there');
  withExamples(command, ['tsbuild rm web', 'tsbuild rm -f $(tsbuild ps -aq)']);
  return command.action((names: readonly string[], { force = false }: { readonly force?: boolean }) =>
    onContainers(registrar, command, async ({ options, renderer }, { host, operations }) => {
      const self = selfCommand(host);
      const { removed, failures } = await operations.removeContainers(names, { force }, { ...options, self });
      for (const name of removed) host.stdout.write(`${name}\n`);
      for (const failure of failures) renderer.failed(failure);
      return failures[0]?.exitCode ?? 0;
    }),
  );
}
