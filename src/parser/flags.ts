import { BuildError } from '../errors.ts';
import type { Word } from './instructions.ts';
import type { Statement, WrittenFlag } from './statement.ts';
import { didYouMean } from './suggest.ts';

interface FlagSchema {
  readonly supported: readonly string[];
  /** Flags that BuildKit has and this builder does not have yet: an error that says so, never ignored. */
  readonly notYet: readonly string[];
}

const SCHEMAS: Readonly<Record<string, FlagSchema>> = {
  FROM: { supported: ['platform'], notYet: [] },
  RUN: { supported: ['network'], notYet: ['mount', 'security', 'device'] },
  COPY: { supported: ['from', 'chown', 'chmod'], notYet: ['link', 'parents', 'exclude'] },
  ADD: { supported: ['chown', 'chmod'], notYet: ['link', 'exclude', 'checksum', 'keep-git-dir', 'unpack'] },
  HEALTHCHECK: { supported: ['interval', 'timeout', 'start-period', 'start-interval', 'retries'], notYet: [] },
};

/** Which instruction has a flag that was written on another one. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  from: 'COPY',
  mount: 'RUN',
  network: 'RUN',
  platform: 'FROM',
  parents: 'COPY',
  checksum: 'ADD',
  unpack: 'ADD',
};

/**
 * The flags of an instruction by name. Errors: unknown, not built yet, given twice, without a value.
 * A flag with an empty value (`--chown=`) counts as not given, as in BuildKit.
 */
export function parseFlags(statement: Statement, instruction: string): ReadonlyMap<string, Word> {
  const flags = new Map<string, Word>();
  const seen = new Set<string>();
  for (const flag of statement.flags) {
    checkKnown(flag, instruction);
    if (seen.has(flag.name)) {
      throw new BuildError('E_PARSE', `Flag "--${flag.name}" is given twice`, {
        hint: 'Keep one of them',
        range: flag.range,
      });
    }
    seen.add(flag.name);
    if (flag.value === undefined) throw withoutValue(flag, instruction);
    if (flag.value.text !== '') flags.set(flag.name, flag.value);
  }
  return flags;
}

function checkKnown(flag: WrittenFlag, instruction: string): void {
  const schema = SCHEMAS[instruction] ?? { supported: [], notYet: [] };
  if (schema.supported.includes(flag.name)) return;
  if (schema.notYet.includes(flag.name)) {
    throw new BuildError('E_UNSUPPORTED', `${instruction} --${flag.name} is not supported yet`, {
      hint: `Take the flag out; ${instruction} supports ${listed(schema.supported)}`,
      range: flag.range,
    });
  }
  throw new BuildError('E_UNKNOWN_FLAG', `Unknown flag "--${flag.name}" for ${instruction}`, {
    hint: unknownHint(flag.name, instruction, schema),
    range: flag.range,
  });
}

function unknownHint(name: string, instruction: string, schema: FlagSchema): string {
  const near = didYouMean(
    `--${name}`,
    [...schema.supported, ...schema.notYet].map((known) => `--${known}`),
  );
  if (near !== undefined) return near;
  const elsewhere = ELSEWHERE[name];
  if (elsewhere !== undefined) return `--${name} is a flag of ${elsewhere}`;
  if (schema.supported.length > 0) return `${instruction} supports ${listed(schema.supported)}`;
  return `${instruction} has no flags; write "--" before arguments that begin with "--"`;
}

function listed(names: readonly string[]): string {
  return names.map((name) => `--${name}`).join(', ');
}

function withoutValue(flag: WrittenFlag, instruction: string): BuildError {
  return new BuildError('E_PARSE', `Flag "--${flag.name}" of ${instruction} has no value`, {
    hint: `Write it with "=": --${flag.name}=VALUE`,
    range: flag.range,
  });
}
