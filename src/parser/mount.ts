import { BuildError, type SourceRange } from '../errors.ts';
import { type CsvField, splitCsv } from './csv.ts';
import type { MountField, MountSyntax, Word } from './instructions.ts';
import { suggest } from './suggest.ts';

/** Every spelling of a key, and the one that the tree has (containerfile-reference 1.6). */
const KEYS: Readonly<Record<string, string>> = {
  type: 'type',
  from: 'from',
  source: 'source',
  src: 'source',
  target: 'target',
  dst: 'target',
  destination: 'target',
  readonly: 'readonly',
  ro: 'readonly',
  readwrite: 'readwrite',
  rw: 'readwrite',
  required: 'required',
  size: 'size',
  'tmpfs-size': 'size',
  id: 'id',
  sharing: 'sharing',
  mode: 'mode',
  uid: 'uid',
  gid: 'gid',
  env: 'env',
};

/** Keys that mean something alone. */
const SWITCHES: ReadonlySet<string> = new Set(['readonly', 'readwrite', 'required']);

const LABELS = 'Steps run without labels of SELinux; leave it out';
const ALWAYS = 'The step decides nothing about this; leave it out';
const OWNER = 'Use uid=, gid= and mode= where the type has them; leave it out';

/** Keys of buildah that this builder will not have, and what to do. */
const REFUSED: Readonly<Record<string, string>> = {
  z: LABELS,
  relabel: LABELS,
  u: OWNER,
  chown: OWNER,
  idmap: OWNER,
  'tmpfs-mode': 'Change the mode in the command: RUN chmod',
  tmpcopyup: 'Copy the files in the command',
  notmpcopyup: 'It is what happens anyway; leave it out',
  'bind-propagation': ALWAYS,
  'bind-nonrecursive': ALWAYS,
  'no-dereference': 'Links of the source are followed inside its root; leave it out',
  nosuid: ALWAYS,
  suid: ALWAYS,
  nodev: ALWAYS,
  dev: ALWAYS,
  noexec: ALWAYS,
  exec: ALWAYS,
  consistency: ALWAYS,
};

/**
 * The value of `--mount`: one CSV record of `key=value`, or `key` for switches. Values stay unexpanded; `from` is the
 * only one that cannot have a variable (as in BuildKit: which stages are needed must be known before any of them runs).
 * A key given twice has its last value.
 */
export function parseMount(value: Word): MountSyntax {
  const fields = splitCsv(value.text);
  if (!fields) {
    throw new BuildError('E_PARSE', `Cannot read the mount "${value.text}": a quote is out of place`, {
      hint: `Quote a whole field: --mount='type=cache,"target=/a,b"'`,
      range: value.range,
    });
  }
  return { fields: fields.map((field) => parseField(field, value)), range: value.range };
}

function parseField(field: CsvField, record: Word): MountField {
  const range = rangeOf(field, record);
  const equals = field.text.indexOf('=');
  const name = equals < 0 ? field.text : field.text.slice(0, equals);
  const key = knownKey(name.toLowerCase(), name, range);
  if (equals < 0) {
    if (SWITCHES.has(key)) return { key, range };
    throw new BuildError('E_PARSE', `The mount's "${name}" has no value`, { hint: `Write ${name}=VALUE`, range });
  }
  const text = field.text.slice(equals + 1);
  const quoted = field.to - field.from !== field.text.length;
  const value = { text, range: quoted ? range : rangeOf({ from: field.from + equals + 1, to: field.to }, record) };
  if (key === 'from' && text.includes('$')) {
    throw new BuildError('E_EXPANSION', `Cannot use variables in the mount's from=${text}`, {
      hint: 'Give the image a stage of its own, "FROM <image> AS source", and write from=source',
      range: value.range,
    });
  }
  return { key, value, range };
}

function knownKey(key: string, written: string, range: SourceRange): string {
  const known = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
  if (known !== undefined) return known;
  if (Object.hasOwn(REFUSED, key)) {
    throw new BuildError('E_UNSUPPORTED', `The mount's "${written}" is not supported`, { hint: REFUSED[key], range });
  }
  const near = suggest(key, Object.keys(KEYS));
  throw new BuildError('E_PARSE', key === '' ? 'The mount has an empty field' : `The mount has no key "${written}"`, {
    hint: near === undefined ? `Keys: ${Object.keys(KEYS).join(', ')}` : `Did you mean "${near}"?`,
    range,
  });
}

/** A part of a word; the whole word where quotes or line ends were taken out of it. */
function rangeOf({ from, to }: { readonly from: number; readonly to: number }, { text, range }: Word): SourceRange {
  const { source, start, end } = range;
  if (start.line !== end.line || end.column - start.column !== text.length) return range;
  const at = (offset: number) => ({ line: start.line, column: start.column + offset });
  return { source, start: at(from), end: at(Math.max(to, from + 1)) };
}
