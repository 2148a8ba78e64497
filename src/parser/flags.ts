import { BuildError } from '../errors.ts';
import type { Word } from './instructions.ts';
import type { Statement, WrittenFlag } from './statement.ts';
import { didYouMean } from './suggest.ts';

type FlagKind = 'value' | 'boolean' | 'list';

const SCHEMAS: Readonly<Record<string, Readonly<Record<string, FlagKind>>>> = {
  FROM: { platform: 'value' },
  RUN: { mount: 'list', network: 'value', security: 'value' },
  COPY: {
    from: 'value',
    chown: 'value',
    chmod: 'value',
    link: 'boolean',
    parents: 'boolean',
    exclude: 'list',
  },
  ADD: {
    chown: 'value',
    chmod: 'value',
    link: 'boolean',
    exclude: 'list',
    checksum: 'value',
    'keep-git-dir': 'boolean',
    unpack: 'boolean',
  },
  HEALTHCHECK: {
    interval: 'value',
    timeout: 'value',
    'start-period': 'value',
    'start-interval': 'value',
    retries: 'value',
  },
};

/** Flags of other builders that this one will not have, and why. */
const REFUSED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  RUN: { device: 'Devices of the host are not shown to a build; use them when the image runs' },
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

/** The flags of one instruction. A flag with an empty value (`--chown=`) counts as not given, as in BuildKit. */
export class Flags {
  readonly #values: ReadonlyMap<string, readonly Word[]>;

  constructor(values: ReadonlyMap<string, readonly Word[]>) {
    this.#values = values;
  }

  get(name: string): Word | undefined {
    return this.#values.get(name)?.[0];
  }

  /** Of a flag that may be given more than once, in order. */
  all(name: string): readonly Word[] {
    return this.#values.get(name) ?? [];
  }

  /** `--x` and `--x=true` are true; undefined: not given. */
  boolean(name: string): boolean | undefined {
    const word = this.get(name);
    return word && word.text === 'true';
  }
}

/** Errors: unknown, refused, given twice, without a value, a boolean that is neither `true` nor `false`. */
export function parseFlags(statement: Statement, instruction: string): Flags {
  const values = new Map<string, Word[]>();
  const seen = new Set<string>();
  for (const flag of statement.flags) {
    const kind = kindOf(flag, instruction);
    if (seen.has(flag.name) && kind !== 'list') {
      throw new BuildError('E_PARSE', `Flag "--${flag.name}" is given twice`, {
        hint: 'Keep one of them',
        range: flag.range,
      });
    }
    seen.add(flag.name);
    const value = kind === 'boolean' ? booleanValue(flag, instruction) : flag.value;
    if (value === undefined) throw withoutValue(flag, instruction);
    if (value.text === '') continue;
    const given = values.get(flag.name);
    if (given) given.push(value);
    else values.set(flag.name, [value]);
  }
  return new Flags(values);
}

function booleanValue(flag: WrittenFlag, instruction: string): Word {
  const text = flag.value?.text.toLowerCase() ?? 'true';
  if (text === 'true' || text === 'false') return { text, range: flag.range };
  throw new BuildError('E_PARSE', `Flag "--${flag.name}" of ${instruction} cannot be "${flag.value?.text}"`, {
    hint: `Write --${flag.name}, --${flag.name}=true or --${flag.name}=false`,
    range: flag.range,
  });
}

function kindOf(flag: WrittenFlag, instruction: string): FlagKind {
  const schema = SCHEMAS[instruction] ?? {};
  const kind = schema[flag.name];
  if (kind !== undefined) return kind;
  const reason = REFUSED[instruction]?.[flag.name];
  if (reason !== undefined) {
    throw new BuildError('E_UNSUPPORTED', `${instruction} --${flag.name} is not supported`, {
      hint: reason,
      range: flag.range,
    });
  }
  throw new BuildError('E_UNKNOWN_FLAG', `Unknown flag "--${flag.name}" for ${instruction}`, {
    hint: unknownHint(flag.name, instruction, Object.keys(schema)),
    range: flag.range,
  });
}

function unknownHint(name: string, instruction: string, known: readonly string[]): string {
  const near = didYouMean(
    `--${name}`,
    known.map((candidate) => `--${candidate}`),
  );
  if (near !== undefined) return near;
  const elsewhere = ELSEWHERE[name];
  if (elsewhere !== undefined) return `--${name} is a flag of ${elsewhere}`;
  if (known.length > 0) return `${instruction} supports ${listed(known)}`;
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
