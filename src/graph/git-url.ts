import { posix } from 'node:path';
import { BuildError } from '../errors.ts';

/** A git repository as ADD, a build context or a named context writes it. */
export interface GitUrl {
  /** Without query and fragment. */
  readonly url: string;
  readonly ref?: string;
  /** Clean and relative. */
  readonly subdir?: string;
  /** The commit, or the beginning of it. */
  readonly checksum?: string;
  readonly keepGitDir?: boolean;
  readonly submodules?: boolean;
}

/** A ref that git would take for something else: an option, a range, a pattern (git-check-ref-format(1)). */
const BAD_REF = /^[-/.]|[\s~^:?*[\\\p{Cc}]|\.\.|@\{|\/\/|[/.]$|\.lock$/u;
const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i;

/** Whether a ref is a whole commit id, which needs no look-up. */
export const isCommitId = (ref: string): boolean => COMMIT.test(ref);

const wrong = (text: string, why: string, hint: string): BuildError =>
  new BuildError('E_PARSE', `Cannot read the git URL "${text}": ${why}`, { hint });

/**
 * Takes apart `URL[?query][#ref[:subdir]]` (containerfile-reference 1.7, "ADD git"), for texts that `remoteSource` calls
 * a git repository. Throws `E_PARSE`, without a place.
 */
export function parseGitUrl(text: string): GitUrl {
  const [beforeFragment = '', fragment = ''] = splitOnce(text, '#');
  const [url = '', query = ''] = splitOnce(beforeFragment, '?');
  checkHost(url, text);
  const [ref, subdir] = splitOnce(decoded(fragment, text), ':').map((part) => (part === '' ? undefined : part));
  const options = readQuery(query, text);
  const chosen = oneOf('ref', text, [ref, options.ref, options.tag, options.branch]);
  const below = cleanSubdir(oneOf('subdir', text, [subdir, options.subdir]));
  const checksum = options.checksum?.toLowerCase();
  if (chosen !== undefined && BAD_REF.test(chosen)) {
    throw wrong(text, `"${chosen}" is not the name of a branch, tag or commit`, 'Write URL#ref or URL#ref:subdir');
  }
  const wanted = options.fetchByCommit === true && checksum !== undefined ? checksum : (chosen ?? checksum);
  return {
    url,
    ...(wanted === undefined ? {} : { ref: wanted }),
    ...(below === undefined ? {} : { subdir: below }),
    ...(checksum === undefined ? {} : { checksum }),
    ...(options.keepGitDir === undefined ? {} : { keepGitDir: options.keepGitDir }),
    ...(options.submodules === undefined ? {} : { submodules: options.submodules }),
  };
}

function splitOnce(text: string, separator: string): readonly string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function decoded(text: string, whole: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong(whole, `"${text}" is not percent-encoded right`, 'Write a literal "%" as "%25"');
  }
}

/** ssh would take a host that begins with `-` for an option. */
function checkHost(url: string, text: string): void {
  const host = /^git@([^:]+):/.exec(url)?.[1] ?? (URL.canParse(url) ? new URL(url).hostname : '');
  if (host === '' || host.startsWith('-')) throw wrong(text, 'it names no host', 'Write https://HOST/PATH.git');
}

/** The clean path; undefined: the whole repository. Cannot lead out of it. */
function cleanSubdir(subdir: string | undefined): string | undefined {
  const clean = posix.join('/', subdir ?? '').replace(/^\/|\/$/g, '');
  return clean === '' ? undefined : clean;
}

/** The same thing may be said twice, in the fragment and the query, but not differently. */
function oneOf(what: string, text: string, values: readonly (string | undefined)[]): string | undefined {
  const [first, second] = [...new Set(values.filter((value) => value !== undefined))];
  if (second === undefined) return first;
  throw wrong(text, `it names two ${what}s, "${first}" and "${second}"`, 'Name it once');
}

interface Query {
  readonly ref?: string | undefined;
  readonly tag?: string | undefined;
  readonly branch?: string | undefined;
  readonly subdir?: string | undefined;
  readonly checksum?: string | undefined;
  readonly keepGitDir?: boolean | undefined;
  readonly submodules?: boolean | undefined;
  readonly fetchByCommit?: boolean | undefined;
}

const KEYS = ['ref', 'tag', 'branch', 'commit', 'checksum', 'subdir', 'submodules', 'keep-git-dir'] as const;
const RARE_KEYS = ['mtime', 'fetch-by-commit'] as const;
const FLAGS: readonly string[] = ['submodules', 'keep-git-dir', 'fetch-by-commit'];

function readQuery(query: string, text: string): Query {
  if (query === '') return {};
  const given = new URLSearchParams(query);
  for (const key of given.keys()) checkKey(key, given.getAll(key), text);
  const value = (key: string): string | undefined => given.get(key) ?? undefined;
  const prefixed = (prefix: string, name: string | undefined): string | undefined =>
    name === undefined || name.startsWith(prefix) ? name : prefix + name;
  if (value('mtime') !== undefined && value('mtime') !== 'commit') {
    throw new BuildError('E_UNSUPPORTED', `Cannot use mtime=${value('mtime')} in "${text}"`, {
      hint: 'Files of a repository always have the time of their commit, so that builds can be repeated: leave it out',
    });
  }
  return {
    ref: value('ref'),
    tag: prefixed('refs/tags/', value('tag')),
    branch: prefixed('refs/heads/', value('branch')),
    subdir: value('subdir'),
    checksum: checkCommit(oneOf('commit', text, [value('checksum'), value('commit')]), text),
    keepGitDir: flag('keep-git-dir', value('keep-git-dir'), text),
    submodules: flag('submodules', value('submodules'), text),
    fetchByCommit: flag('fetch-by-commit', value('fetch-by-commit'), text),
  };
}

function checkKey(key: string, values: readonly string[], text: string): void {
  if (![...KEYS, ...RARE_KEYS].some((known) => known === key)) {
    throw wrong(text, `it has no option "${key}"`, `Known are ${KEYS.join(', ')}`);
  }
  if (values.length > 1) throw wrong(text, `"${key}" is there twice`, 'Name it once');
  if (values[0] === '' && !FLAGS.includes(key)) throw wrong(text, `"${key}" has no value`, `Write ${key}=VALUE`);
}

function flag(key: string, value: string | undefined, text: string): boolean | undefined {
  if (value === undefined) return undefined;
  if (value === '' || /^(?:1|t|true)$/i.test(value)) return true;
  if (/^(?:0|f|false)$/i.test(value)) return false;
  throw wrong(text, `"${value}" is no value of "${key}"`, `Write ${key}=true or ${key}=false`);
}

function checkCommit(commit: string | undefined, text: string): string | undefined {
  if (commit === undefined || isCommitPrefix(commit)) return commit;
  throw wrong(text, `"${commit}" is not a commit`, 'Give the hexadecimal id of a commit, or the beginning of one');
}

/** Whether a text can be the beginning of a commit id. */
export const isCommitPrefix = (text: string): boolean => /^[0-9a-f]{1,64}$/i.test(text);
