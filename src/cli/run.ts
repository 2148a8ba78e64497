import { type Command, CommanderError } from 'commander';
import type { BuildError } from '../index.ts';
import { UsageFailure } from './commands/command.ts';
import { exitCodeOf, toBuildError } from './failure.ts';
import { type Host, hasColour, type Operations } from './host.ts';
import { normaliseArgs } from './normalise-args.ts';
import { createProgram } from './program.ts';
import { hasProgramStatus, plainSwitches, RUNTIME_FAILED, splitProgramArgs } from './program-args.ts';
import { renderError } from './render/error.ts';
import { createPaint } from './render/paint.ts';

/** Runs one command line to its end. Never throws; returns the exit code. */
export async function run(host: Host, operations: Operations): Promise<number> {
  let exitCode = 0;
  const registrar = {
    context: async () => ({ host, operations }),
    setExitCode: (code: number) => {
      exitCode = code;
    },
  };
  const program = createProgram(registrar, (text) => host.stdout.write(text));
  try {
    await program.parseAsync(argsFor(host, program), { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    if (error instanceof UsageFailure) {
      const code = fail(host, error.error, error.usage);
      return hasProgramStatus(error.usage) ? RUNTIME_FAILED : code;
    }
    return fail(host, toBuildError(error, host.signal));
  }
}

/** Another program's command line, where there is one, stays as it is. */
function argsFor({ args }: Host, program: Command): readonly string[] {
  const split = splitProgramArgs(args, program);
  if (split === undefined) return normaliseArgs(args);
  const command = program.commands.find((candidate) => candidate.name() === split.command);
  return [...split.before, ...plainSwitches(split.own, command), '--', ...split.program];
}

function fail(host: Host, error: BuildError, usage?: string): number {
  const isDebug = host.args.includes('--debug');
  host.stderr.write(renderError(error, { paint: createPaint(hasColour(host)), isDebug, hasTail: true }));
  if (usage !== undefined) host.stderr.write(`usage: ${usage}\n`);
  return exitCodeOf(error, host.signal);
}
