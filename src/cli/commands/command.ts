import { type Command, Option } from 'commander';
import type { BuildError } from '../../index.ts';
import type { CommandContext, GlobalOptions } from '../session.ts';

/** A mistake that commander found, with the command whose usage line helps. */
export class UsageFailure extends Error {
  readonly error: BuildError;
  readonly usage: string;

  constructor(error: BuildError, usage: string) {
    super(error.message);
    this.error = error;
    this.usage = usage;
  }
}

/** Makes a command; its action says its exit code through `setExitCode`. */
export interface Registrar {
  readonly context: () => Promise<CommandContext>;
  readonly setExitCode: (code: number) => void;
}

export function usageLine(command: Command): string {
  return command.createHelp().commandUsage(command);
}

/** Examples below the help; each line is a command. */
export function withExamples(command: Command, examples: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}`);
}

export const tlsVerifyOption = (): Option =>
  new Option('--tls-verify <bool>', 'verify certificates and demand https; false also allows plain http').default(
    'true',
  );

export const caFileOption = (): Option =>
  new Option('--ca-file <file>', 'trust these certificates (PEM), too; in a build, RUN does as well');

export const authfileOption = (): Option => new Option('--authfile <file>', 'read credentials from this file only');

export const progressOption = (): Option =>
  new Option('--progress <mode>', 'auto, plain, tty, json (one object a line) or quiet; all go to stderr').default(
    'auto',
  );

export const compressionOption = (): Option =>
  new Option(
    '--compression <kind>',
    'of layers that leave the store and are not compressed yet, as those built here: gzip (default), zstd or none',
  );

export const forceCompressionOption = (): Option =>
  new Option('--force-compression', 'compress layers of base images again that came in another way');

/** Options of the program itself, wherever they stood. */
export function globalsOf(command: Command): GlobalOptions {
  const { root, debug } = command.optsWithGlobals<GlobalOptions>();
  return { ...(root !== undefined && { root }), ...(debug !== undefined && { debug }) };
}
