import { Command, type CommanderError } from 'commander';
import { BuildError } from '../index.ts';
import { buildCommand } from './commands/build.ts';
import { type Registrar, UsageFailure, usageLine, withExamples } from './commands/command.ts';
import { logsCommand, psCommand, rmCommand, stopCommand } from './commands/containers.ts';
import { diffCommand } from './commands/diff.ts';
import { loginCommand, logoutCommand } from './commands/login.ts';
import { execCommand, runCommand, unshareCommand } from './commands/run.ts';
import { storeCommand } from './commands/state.ts';
import { imagesCommand, infoCommand, inspectCommand, pruneCommand, rmiCommand, tagCommand } from './commands/store.ts';
import { importCommand, loadCommand, pullCommand, pushCommand } from './commands/transfer.ts';
import { isForeignOption } from './foreign-options.ts';
import { nearest } from './usage.ts';
import { version } from './version.ts';

/** The whole command line as commander's objects; docs/cli.md is printed from them. */
export function createProgram(registrar: Registrar, print: (text: string) => void): Command {
  const program = new Command('tsbuild')
    .description('Build container images from Containerfiles: rootless, daemonless. Without a command: build.')
    .usage('[command] [options] [arguments]')
    .version(version, '--version', 'print the version')
    .option('--root <dir>', 'state directory (default: $XDG_DATA_HOME/tsbuild, for root /var/lib/tsbuild)')
    .option('--debug', 'print causes and stack traces of errors, and debug messages');
  withExamples(program, [
    'tsbuild -t image0 -f Containerfile .',
    'tsbuild push image0 quay.io/me/image0',
    'tsbuild help push',
  ]);
  program.addCommand(buildCommand(registrar), { isDefault: true });
  const makers = [pullCommand, pushCommand, loadCommand, importCommand];
  makers.push(
    imagesCommand,
    tagCommand,
    rmiCommand,
    inspectCommand,
    loginCommand,
    logoutCommand,
    pruneCommand,
    storeCommand,
    diffCommand,
    infoCommand,
  );
  makers.push(runCommand, psCommand, execCommand, logsCommand, stopCommand, rmCommand, unshareCommand);
  for (const make of makers) program.addCommand(make(registrar));
  program.addCommand(
    new Command('version').description('print the version').action(() => {
      print(`tsbuild ${version}\n`);
    }),
  );
  for (const command of allCommands(program)) prepare(command, print);
  return program;
}

/** With those of groups (`store verify`). */
export const allCommands = (command: Command): readonly Command[] => [
  command,
  ...command.commands.flatMap(allCommands),
];

/** Nothing in the program ends the process or prints a mistake by itself. */
function prepare(command: Command, print: (text: string) => void): void {
  command
    .configureOutput({ writeOut: print, writeErr: () => {}, outputError: () => {} })
    .configureHelp({ showGlobalOptions: command.parent !== null })
    .exitOverride((error) => {
      throw error.exitCode === 0 ? error : new UsageFailure(toUsageError(error, command), usageLine(command));
    });
}

function toUsageError(error: CommanderError, command: Command): BuildError {
  const text = error.message.replace(/^error: /, '');
  const option = /^unknown option '([^'=]+)/.exec(text)?.[1];
  if (option !== undefined) return unknownOption(option, text);
  if (error.code === 'commander.excessArguments') return excessArguments(command);
  const [first = ''] = text.split('\n');
  return new BuildError(
    'E_USAGE',
    first.charAt(0).toUpperCase() + first.slice(1).replaceAll("'", '"').replace(/\.$/, ''),
  );
}

function unknownOption(option: string, text: string): BuildError {
  if (isForeignOption(option)) {
    return new BuildError('E_USAGE', `Option "${option}" is not built yet`, {
      hint: 'README.md lists what does not work yet',
    });
  }
  const suggestion = /\(Did you mean (?:one of )?([^?)]+)\?\)/.exec(text)?.[1];
  const hint = suggestion === undefined ? undefined : `did you mean "${suggestion}"?`;
  return new BuildError('E_USAGE', `Unknown option "${option}"`, { hint });
}

function excessArguments(command: Command): BuildError {
  const extra = command.args.slice(command.registeredArguments.length).map((word) => `"${word}"`);
  const [first = ''] = command.args;
  const names = command.parent?.commands.map((other) => other.name()) ?? [];
  const name = command.name() === 'build' ? nearest(first, names) : undefined;
  const hint = name === undefined ? undefined : `did you mean "tsbuild ${name}"?`;
  return new BuildError('E_USAGE', `Too many arguments for ${command.name()}: ${extra.join(' ')}`, { hint });
}
