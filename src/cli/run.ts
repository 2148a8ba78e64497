import { CommanderError } from 'commander';
import type { BuildError } from '../index.ts';
import { UsageFailure } from './commands/command.ts';
import { exitCodeOf, toBuildError } from './failure.ts';
import { type Host, hasColour, type Operations } from './host.ts';
import { normaliseArgs } from './normalise-args.ts';
import { createProgram } from './program.ts';
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
    await program.parseAsync(normaliseArgs(host.args), { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    if (error instanceof UsageFailure) return fail(host, error.error, error.usage);
    return fail(host, toBuildError(error, host.signal));
  }
}

function fail(host: Host, error: BuildError, usage?: string): number {
  const isDebug = host.args.includes('--debug');
  host.stderr.write(renderError(error, { paint: createPaint(hasColour(host)), isDebug, hasTail: true }));
  if (usage !== undefined) host.stderr.write(`usage: ${usage}\n`);
  return exitCodeOf(error, host.signal);
}
