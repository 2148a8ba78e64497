import { BuildError } from '../errors.ts';
import type { ContainerConfig } from '../oci/index.ts';

/** What the command line says of the program, beside its words. */
export interface ProgramOptions {
  /** Words after the image's name. */
  readonly command: readonly string[];
  /** `''`: none, not the image's either. */
  readonly entrypoint?: string | undefined;
  /** undefined: not to be set. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly user?: string | undefined;
  readonly cwd?: string | undefined;
  readonly hasTerminal: boolean;
  readonly hostname: string;
}

export interface Program {
  readonly argv: readonly string[];
  /** Without HOME, which is the user's. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** As USER writes it; `''` is root. */
  readonly user: string;
  readonly stopSignal: string;
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The image's config with what the command line changes, by docker's rules. Throws `E_USAGE` without a program. */
export function programOf(image: string, config: ContainerConfig, options: ProgramOptions): Program {
  const { entrypoint, command, hasTerminal, hostname } = options;
  const before = entrypoint === undefined ? (config.Entrypoint ?? []) : entrypoint === '' ? [] : [entrypoint];
  // another entry point does not want the arguments of the image's
  const after = command.length > 0 || entrypoint !== undefined ? command : (config.Cmd ?? []);
  const argv = [...before, ...after];
  if (argv.length === 0) {
    throw new BuildError('E_USAGE', `Cannot run "${image}": it has neither CMD nor ENTRYPOINT`, {
      hint: `Say what to run: tsbuild run ${image} COMMAND`,
    });
  }
  const env = {
    PATH: DEFAULT_PATH,
    HOSTNAME: hostname,
    ...(hasTerminal ? { TERM: 'xterm' } : {}),
    ...Object.fromEntries((config.Env ?? []).map(pairOf)),
    ...options.variables,
  };
  return {
    argv,
    env: definedOnly(env),
    cwd: options.cwd ?? (config.WorkingDir || '/'),
    user: options.user ?? config.User ?? '',
    stopSignal: config.StopSignal || 'SIGTERM',
  };
}

export const definedOnly = (env: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter((pair): pair is [string, string] => pair[1] !== undefined));

function pairOf(text: string): readonly [string, string] {
  const equals = text.indexOf('=');
  return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}
