import { BuildError } from '../errors.ts';
import {
  type Digest,
  formatReference,
  hexOf,
  parseDigest,
  parseLocalName,
  parseReference,
  type Reference,
} from '../oci/index.ts';

/** Docker asks for no minimum; below four digits a prefix is rather a name. */
const ID_PREFIX = /^(?:sha256:)?([0-9a-f]{4,64})$/;

/** The hex of an image ID or the beginning of one; undefined: can only be a name. */
export const idPrefixOf = (text: string): string | undefined => ID_PREFIX.exec(text)?.[1];

/**
 * What a user's text may mean, best first: a short name is first an image of our own (`localhost/x`), then
 * docker.io/library/x. A text that is no reference gives nothing.
 */
export function candidateNames(text: string): readonly Reference[] {
  try {
    const local = parseLocalName(text);
    const remote = parseReference(text);
    return formatReference(local) === formatReference(remote) ? [remote] : [local, remote];
  } catch (error) {
    if (error instanceof BuildError && idPrefixOf(text) !== undefined) return [];
    throw error;
  }
}

/** The one ID that begins with `prefix`; undefined: none. Several throw `E_NO_IMAGE`. */
export function matchId(prefix: string, ids: readonly Digest[]): Digest | undefined {
  if (prefix.length === 64) return ids.find((id) => id === parseDigest(`sha256:${prefix}`));
  const matches = [...new Set(ids)].filter((id) => hexOf(id).startsWith(prefix));
  if (matches.length <= 1) return matches[0];
  throw new BuildError('E_NO_IMAGE', `Cannot choose an image: ${matches.length} image IDs begin with "${prefix}"`, {
    hint: `Write more digits: ${matches
      .slice(0, 4)
      .map((id) => hexOf(id).slice(0, 16))
      .join(', ')}`,
  });
}

/** An `E_NO_IMAGE` that offers the names nearest to what was asked for. */
export function noImage(text: string, names: readonly string[]): BuildError {
  const near = nearest(text, names);
  return new BuildError('E_NO_IMAGE', `No image "${text}" in the store`, {
    hint:
      near.length > 0
        ? `Did you mean ${near.map((name) => `"${name}"`).join(' or ')}?`
        : 'See "tsbuild images" for what is there, or pull or build it first',
  });
}

function nearest(text: string, names: readonly string[]): readonly string[] {
  const wanted = text.toLowerCase();
  const limit = Math.max(2, Math.floor(wanted.length / 3));
  return names
    .map((name) => ({ name, away: Math.min(...spellings(name).map((short) => distance(wanted, short))) }))
    .filter(({ away }) => away <= limit)
    .sort((a, b) => a.away - b.away || (a.name < b.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name);
}

/** A name as users write it: without registry, without tag. */
function spellings(name: string): readonly string[] {
  const short = name.replace(/^localhost\/|^docker\.io\/(?:library\/)?/, '');
  const last = short.slice(short.lastIndexOf('/') + 1);
  return [name, short, last].flatMap((form) => [form, form.replace(/:[^:/]*$/, '')]);
}

/** Levenshtein's edit distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
