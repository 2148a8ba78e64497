import { createHash } from 'node:crypto';
import type { Layer } from '../oci/index.ts';
import { type DecodedMember, decodeTar } from './tar/index.ts';

/** A path that two layers have differently. */
export interface FileDifference {
  /** As in the tar: relative, whiteouts as `.wh.NAME`. */
  readonly path: string;
  readonly kind: 'removed' | 'added' | 'changed';
  /** For `changed`: `mode 0644 -> 0755`, `content`, ... */
  readonly what: readonly string[];
}

/** What an entry is, each aspect as text. */
type Fingerprint = ReadonlyMap<string, string>;

/**
 * Compares two layers entry by entry, by path. No difference in the entries and yet another diffID means that the order or
 * the form of the tars' headers differs. Holds one fingerprint a path of the first layer.
 */
export async function compareLayers(one: Layer, other: Layer): Promise<readonly FileDifference[]> {
  const known = new Map<string, Fingerprint>();
  for await (const member of decodeTar(one.uncompressed())) known.set(member.entry.path, await fingerprint(member));
  const found = new Map<string, FileDifference>();
  const seen = new Set<string>();
  for await (const member of decodeTar(other.uncompressed())) {
    const { path } = member.entry;
    seen.add(path);
    const [before, after] = [known.get(path), await fingerprint(member)];
    const what = before === undefined ? [] : changes(before, after);
    if (before === undefined) found.set(path, { path, kind: 'added', what });
    else if (what.length > 0) found.set(path, { path, kind: 'changed', what });
    else found.delete(path);
  }
  for (const path of known.keys()) if (!seen.has(path)) found.set(path, { path, kind: 'removed', what: [] });
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function fingerprint({ entry, body }: DecodedMember): Promise<Fingerprint> {
  const { path: _, xattrs, ...aspects } = entry;
  const texts = new Map(Object.entries(aspects).map(([name, value]) => [name, textOf(name, value)]));
  for (const [name, value] of xattrs ?? []) texts.set(name, Buffer.from(value).toString('hex'));
  if (entry.type !== 'file') return texts;
  const hash = createHash('sha256');
  for await (const chunk of body) hash.update(chunk);
  return texts.set('content', `sha256:${hash.digest('hex').slice(0, 12)}`);
}

function textOf(name: string, value: string | number): string {
  if (name === 'mode') return Number(value).toString(8).padStart(4, '0');
  if (name === 'mtime') return isoTime(Number(value));
  return String(value);
}

const isoTime = (seconds: number): string => {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString();
};

function changes(before: Fingerprint, after: Fingerprint): readonly string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].flatMap((name) => {
    const [from, to] = [before.get(name), after.get(name)];
    return from === to ? [] : [`${name} ${from ?? 'none'} -> ${to ?? 'none'}`];
  });
}
