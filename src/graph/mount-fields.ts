import { BuildError, type SourceRange } from '../errors.ts';
import { type MountSyntax, suggest, type Word } from '../parser/index.ts';

/** One field of a mount, expanded. */
export interface ExpandedField {
  /** Absent for a bare key. */
  readonly value?: string;
  readonly range: SourceRange;
}

/** What a mount says, with readers for each kind of value; errors point at the field. */
export class MountFields {
  readonly range: SourceRange;
  readonly #fields: ReadonlyMap<string, ExpandedField>;

  constructor(syntax: MountSyntax, expand: (word: Word) => string) {
    this.range = syntax.range;
    this.#fields = new Map(
      syntax.fields.map(({ key, value, range }): [string, ExpandedField] => [
        key,
        value ? { value: expand(value), range: value.range } : { range },
      ]),
    );
  }

  keys(): readonly string[] {
    return [...this.#fields.keys()];
  }

  rangeOf(key: string): SourceRange {
    return this.#fields.get(key)?.range ?? this.range;
  }

  /** undefined: not given, or given as nothing. */
  text(key: string): string | undefined {
    return this.#fields.get(key)?.value || undefined;
  }

  /** One of a few names. */
  choice<T extends string>(key: string, allowed: readonly T[], fallback: T): T {
    const value = this.text(key);
    if (value === undefined) return fallback;
    const found = allowed.find((name) => name === value);
    if (found !== undefined) return found;
    const near = suggest(value, allowed);
    throw this.error(key, `The mount's ${key} cannot be "${value}"`, {
      hint: near === undefined ? `Use one of: ${allowed.join(', ')}` : `Did you mean "${near}"?`,
    });
  }

  /** A bare key is true; values are those of Go's strconv.ParseBool. */
  boolean(key: string): boolean | undefined {
    const field = this.#fields.get(key);
    if (!field) return undefined;
    const value = field.value ?? 'true';
    if (/^(1|t|T|TRUE|true|True)$/.test(value)) return true;
    if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false;
    throw this.error(key, `The mount's ${key} cannot be "${value}"`, { hint: 'Write true or false' });
  }

  /** Of `ro` and `rw` the last one decides. undefined: neither is given. */
  readOnly(): boolean | undefined {
    const last = this.keys().findLast((key) => key === 'readonly' || key === 'readwrite');
    if (last === undefined) return undefined;
    const value = this.boolean(last);
    return last === 'readonly' ? value : value === false;
  }

  /** Of a user or group. */
  id(key: 'uid' | 'gid'): number {
    const value = this.text(key);
    if (value === undefined) return 0;
    if (/^\d{1,10}$/.test(value) && Number(value) <= MAX_ID) return Number(value);
    throw this.error(key, `The mount's ${key} cannot be "${value}"`, {
      hint: 'Write a number: names of the image are not known here',
    });
  }

  mode(fallback: number): number {
    const value = this.text('mode');
    if (value === undefined) return fallback;
    if (/^[0-7]{1,6}$/.test(value) && Number.parseInt(value, 8) <= 0o7777) return Number.parseInt(value, 8);
    throw this.error('mode', `The mount's mode cannot be "${value}"`, { hint: 'Write it in octal: 0755' });
  }

  /** Bytes, as docker counts them: `64m`, `1g`, `512KiB`; units are powers of 1024. */
  size(): number | undefined {
    const value = this.text('size');
    if (value === undefined) return undefined;
    const [, count, unit = ''] = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(value) ?? [];
    const bytes = Math.floor(Number(count) * 1024 ** ' kmgtp'.indexOf(unit.toLowerCase() || ' '));
    if (count !== undefined && Number.isSafeInteger(bytes)) return bytes;
    throw this.error('size', `The mount's size cannot be "${value}"`, { hint: 'Write bytes or a unit: 64m, 1g' });
  }

  error(key: string, message: string, { hint }: { readonly hint?: string } = {}): BuildError {
    return new BuildError('E_PARSE', message, { hint, range: this.rangeOf(key) });
  }
}

/** Linux ids are 32 bits; the last is "no id". */
const MAX_ID = 4294967294;

/** What a mount reads from: a stage, an image, a named context. An empty `from` is none, as in BuildKit. */
export function mountFrom({ fields }: MountSyntax): Word | undefined {
  const from = fields.findLast(({ key }) => key === 'from')?.value;
  return from && from.text !== '' ? from : undefined;
}
