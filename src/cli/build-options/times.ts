import type { Command } from 'commander';
import type { TimeOptions } from '../../index.ts';
import { usageError } from '../usage.ts';
import { parseBoolean } from '../values.ts';

export interface TimeFlags {
  readonly sourceDateEpoch?: string;
  readonly timestamp?: string;
  readonly rewriteTimestamp?: string;
}

export function addTimeOptions(command: Command): Command {
  return command
    .optionsGroup('Times:')
    .option(
      '--source-date-epoch <seconds>',
      'build repeatably: "created" is this time since 1970, and no file of a new layer is later (default: the build argument SOURCE_DATE_EPOCH, else $SOURCE_DATE_EPOCH)',
    )
    .option('--rewrite-timestamp <bool>', 'lower later times of files; always so with --source-date-epoch')
    .option('--timestamp <seconds>', 'as --source-date-epoch, but every file of a new layer gets exactly this time');
}

const NAME = 'SOURCE_DATE_EPOCH';

interface TimeSources {
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The times, and the build arguments with the SOURCE_DATE_EPOCH that an ARG of that name gets. */
export function timeOptions(
  flags: TimeFlags,
  { buildArgs, env }: TimeSources,
): TimeOptions & { readonly buildArgs: Readonly<Record<string, string>> } {
  const timestamp = secondsOf('--timestamp', flags.timestamp);
  if (timestamp !== undefined && flags.sourceDateEpoch !== undefined) {
    throw usageError('--timestamp and --source-date-epoch exclude each other');
  }
  refuseUnwantedRewrite(flags);
  if (timestamp !== undefined) return { timestamp, buildArgs };
  const sourceDateEpoch =
    secondsOf('--source-date-epoch', flags.sourceDateEpoch) ??
    secondsOf(`Build argument ${NAME}`, Object.hasOwn(buildArgs, NAME) ? buildArgs[NAME] : undefined) ??
    secondsOf(NAME, env[NAME]);
  if (sourceDateEpoch === undefined) return { buildArgs };
  return { sourceDateEpoch, buildArgs: { [NAME]: String(sourceDateEpoch), ...buildArgs } };
}

function refuseUnwantedRewrite({ rewriteTimestamp }: TimeFlags): void {
  if (rewriteTimestamp === undefined || parseBoolean('--rewrite-timestamp', rewriteTimestamp)) return;
  throw usageError(
    '--rewrite-timestamp=false is not supported: a build with SOURCE_DATE_EPOCH must give the same bytes again',
    'leave it out',
  );
}

/** reproducible-builds.org/specs/source-date-epoch; an empty text is none. */
function secondsOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,12}$/.test(text)) return Number(text);
  throw usageError(`${option} "${text}" is not a number of seconds since 1970`, 'e.g. git log -1 --format=%ct');
}
