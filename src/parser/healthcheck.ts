import { BuildError } from '../errors.ts';
import { parseCommandLine } from './command-line.ts';
import { parseDuration } from './duration.ts';
import { type Flags, parseFlags } from './flags.ts';
import type { CommandLine, HealthcheckInstruction, Word } from './instructions.ts';
import { isBlank, rangeAt, skipBlanks } from './located-text.ts';
import { rawText, type Statement } from './statement.ts';

/** Docker's MinimumDuration: zero means "the default", anything shorter than this is a mistake. */
const SHORTEST_NS = 1e6;

export function parseHealthcheck(statement: Statement): HealthcheckInstruction {
  const flags = parseFlags(statement, 'HEALTHCHECK');
  const located = { range: statement.range, raw: rawText(statement), comments: statement.comments };
  const { text, args } = statement;
  let at = args.from;
  while (at < args.to && !isBlank(text.text[at])) at += 1;
  const type = text.text.slice(args.from, at);
  const rest = { from: skipBlanks(text.text, at), to: args.to };
  switch (type.toUpperCase()) {
    case 'NONE':
      checkNone(statement, rest.from < rest.to);
      return { kind: 'HEALTHCHECK', ...located };
    case 'CMD': {
      const command = parseCommandLine(statement, rest);
      if (isEmpty(command)) {
        throw new BuildError('E_PARSE', 'HEALTHCHECK CMD has no command', {
          hint: 'Write HEALTHCHECK CMD COMMAND, or HEALTHCHECK NONE',
          range: statement.range,
        });
      }
      return { kind: 'HEALTHCHECK', command, ...options(flags), ...located };
    }
    default: {
      const what = type === '' ? 'HEALTHCHECK needs an argument' : `HEALTHCHECK does not know "${type}"`;
      const range = type === '' ? statement.range : rangeAt(text, { from: args.from, to: at });
      throw new BuildError('E_PARSE', what, { hint: 'Write HEALTHCHECK CMD COMMAND, or HEALTHCHECK NONE', range });
    }
  }
}

function checkNone(statement: Statement, hasMore: boolean): void {
  if (!hasMore) return;
  throw new BuildError('E_PARSE', 'HEALTHCHECK NONE takes no arguments', {
    hint: 'Write HEALTHCHECK NONE alone',
    range: statement.range,
  });
}

function isEmpty(command: CommandLine): boolean {
  return command.form === 'exec' ? command.argv.length === 0 : command.script === '';
}

type Options = Pick<
  HealthcheckInstruction,
  'intervalNs' | 'timeoutNs' | 'startPeriodNs' | 'startIntervalNs' | 'retries'
>;

function options(flags: Flags): Options {
  return {
    ...duration(flags, 'interval', 'intervalNs'),
    ...duration(flags, 'timeout', 'timeoutNs'),
    ...duration(flags, 'start-period', 'startPeriodNs'),
    ...duration(flags, 'start-interval', 'startIntervalNs'),
    ...retries(flags.get('retries')),
  };
}

function duration(flags: Flags, flag: string, key: keyof Options): Options {
  const word = flags.get(flag);
  if (!word) return {};
  const nanoseconds = parseDuration(word.text);
  if (nanoseconds === undefined) {
    throw new BuildError('E_PARSE', `HEALTHCHECK --${flag} cannot be "${word.text}"`, {
      hint: 'Write a duration with its unit, for example 30s, 1m30s or 500ms',
      range: word.range,
    });
  }
  if (nanoseconds !== 0 && nanoseconds < SHORTEST_NS) {
    throw new BuildError('E_PARSE', `HEALTHCHECK --${flag} "${word.text}" cannot be less than 1ms`, {
      hint: 'Use 0 for the default, or at least 1ms',
      range: word.range,
    });
  }
  return { [key]: nanoseconds };
}

function retries(word: Word | undefined): Options {
  if (!word) return {};
  const count = Number(word.text);
  if (/^\+?\d+$/.test(word.text) && count < 2 ** 31) return { retries: count };
  throw new BuildError('E_PARSE', `HEALTHCHECK --retries cannot be "${word.text}"`, {
    hint: 'Write a whole number; 0 takes the default',
    range: word.range,
  });
}
