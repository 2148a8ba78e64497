import { BuildError } from '../errors.ts';
import type { Git } from './git.ts';

/** Where a ref points, as the remote says. */
export interface ResolvedRef {
  /** `refs/heads/...`, `refs/tags/...`; undefined for a commit id, and for a HEAD that is on no branch. */
  readonly name?: string | undefined;
  readonly commit: string;
  /** Of an annotated tag: the tag's own id. */
  readonly tag?: string | undefined;
}

const MAX_NEAR = 3;

/** Asks the remote. Throws `E_NOT_FOUND` with the refs that are spelled alike. */
export async function resolveRef(git: Git, ref: string | undefined): Promise<ResolvedRef> {
  if (ref === undefined) {
    const { refs, head } = parse(await git.ask(['ls-remote', '--symref', '--', git.remote.url, 'HEAD']));
    const commit = refs.get('HEAD');
    if (commit !== undefined) return { name: head, commit };
    throw new BuildError('E_NOT_FOUND', `Cannot use "${git.remote.shown}": its default branch has no commit`, {
      hint: 'Name a branch, tag or commit: URL#main',
    });
  }
  const { refs } = parse(await git.ask(['ls-remote', '--', git.remote.url, ref, `${ref}^{}`]));
  return choose(refs, ref) ?? missing(git, ref);
}

interface Listing {
  readonly refs: ReadonlyMap<string, string>;
  /** The branch that HEAD is on. */
  readonly head?: string | undefined;
}

function parse(text: string): Listing {
  const refs = new Map<string, string>();
  let head: string | undefined;
  for (const line of text.split('\n')) {
    const [value = '', name = ''] = line.split('\t');
    // a server may say anything here, also what git would take for an option
    if (value.startsWith('ref: refs/') && name === 'HEAD') head = value.slice('ref: '.length);
    else if (/^[0-9a-f]{40,64}$/.test(value)) refs.set(name, value);
  }
  return { refs, head };
}

/** A branch comes before a tag of its name, as for `git checkout` and BuildKit. */
function choose(refs: ReadonlyMap<string, string>, ref: string): ResolvedRef | undefined {
  const candidates = ref.startsWith('refs/') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`, `refs/${ref}`];
  for (const name of candidates) {
    const id = refs.get(name);
    if (id === undefined) continue;
    const peeled = refs.get(`${name}^{}`);
    return peeled === undefined ? { name, commit: id } : { name, commit: peeled, tag: id };
  }
  return undefined;
}

async function missing(git: Git, ref: string): Promise<never> {
  const { refs } = parse(await git.ask(['ls-remote', '--heads', '--tags', '--refs', '--', git.remote.url]));
  const names = [...refs.keys()].map((name) => name.replace(/^refs\/(?:heads|tags)\//, ''));
  const near = nearest(ref.replace(/^refs\/(?:heads|tags)\//, ''), names);
  const isShort = /^[0-9a-f]{4,39}$/i.test(ref);
  const alike = near.map((name) => `"${name}"`).join(' or ');
  throw new BuildError(
    'E_NOT_FOUND',
    `Cannot find "${ref}" in "${git.remote.shown}": no branch and no tag is called so`,
    {
      hint: isShort
        ? 'A commit is named by its whole id (40 digits): servers do not look for a part of it'
        : alike === ''
          ? 'See what there is: git ls-remote --heads --tags URL'
          : `Did you mean ${alike}?`,
      fields: { ref },
    },
  );
}

/** The names with the fewest edits from `ref`, if that is few, or that it is a part of. */
function nearest(ref: string, names: readonly string[]): string[] {
  const limit = Math.max(2, Math.floor(ref.length / 3));
  return names
    .map((name) => ({ name, distance: name.includes(ref) ? 1 : editDistance(ref.slice(0, 100), name.slice(0, 100)) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, MAX_NEAR)
    .map(({ name }) => name);
}

/** Levenshtein's. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
