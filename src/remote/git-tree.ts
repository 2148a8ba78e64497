import { existsSync, lstatSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError, systemErrorCode } from '../errors.ts';
import type { Git } from './git.ts';
import { type ResolvedRef, resolveRef } from './git-refs.ts';
import { type Kept, keyOf } from './kept.ts';
import { settleTree } from './settle-tree.ts';

/** The tree of a repository at one commit. */
export interface GitTree {
  readonly url: string;
  readonly ref?: string | undefined;
  /** Clean and relative. */
  readonly subdir?: string | undefined;
  readonly keepGitDir: boolean;
  readonly submodules: boolean;
  /** The commit, or the beginning of its id, in lower case. */
  readonly checksum?: string | undefined;
}

const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/**
 * The directory with the files of the commit: modes 0644 and 0755, times those of the commit (BuildKit takes the time
 * of the checkout, which is another one at each build). Throws `E_DIGEST_MISMATCH`, `E_NOT_FOUND`, `E_UNAUTHORIZED`,
 * `E_UNAVAILABLE`, `E_TLS`, `E_REMOTE`, `E_PATH_ESCAPE`, `E_NO_SPACE`, `E_STORE`, `E_CANCELLED`.
 */
export async function fetchTree(tree: GitTree, git: Git, kept: Kept): Promise<string> {
  const ref = tree.ref !== undefined && COMMIT.test(tree.ref.toLowerCase()) ? tree.ref.toLowerCase() : tree.ref;
  const resolved = ref !== undefined && COMMIT.test(ref) ? { commit: ref } : await resolveRef(git, ref);
  verify(tree, resolved, git);
  const path = kept.find(treeKey(tree, resolved.commit, git)) ?? (await checkOut(tree, resolved, { git, kept }));
  return subdirectory(path, tree, git);
}

const treeKey = ({ keepGitDir, submodules }: GitTree, commit: string, { remote }: Git): string =>
  keyOf({ kind: 'git tree', url: remote.url, commit, keepGitDir, submodules });

function verify({ checksum }: GitTree, { commit, tag }: ResolvedRef, { remote }: Git): void {
  if (checksum === undefined || commit.startsWith(checksum) || tag?.startsWith(checksum)) return;
  throw new BuildError(
    'E_DIGEST_MISMATCH',
    `Cannot use "${remote.shown}": its commit is ${commit}, expected ${checksum}`,
    {
      hint: 'The branch or tag was moved: look at the change before you write the new commit down',
      fields: { expected: checksum, actual: commit },
    },
  );
}

interface Parts {
  readonly git: Git;
  readonly kept: Kept;
}

function checkOut(tree: GitTree, wanted: ResolvedRef, { git, kept }: Parts): Promise<string> {
  return kept.add(async (directory) => {
    await git.run(['init', '-q', '--template=', directory]);
    await git.run(['remote', 'add', 'origin', git.remote.url], directory);
    const commit = await fetchCommit(wanted, git, directory);
    // the ref may have moved since it was resolved
    if (commit !== wanted.commit) verify(tree, { commit }, git);
    await git.run(['checkout', '-q', '--detach', commit], directory);
    if (tree.submodules && existsSync(join(directory, '.gitmodules'))) await fetchSubmodules(git, directory);
    const time = Number((await git.run(['show', '-s', '--format=%ct', commit], directory)).trim());
    if (tree.keepGitDir) await tidyGitDirectory(wanted, commit, { git, directory });
    else rmSync(join(directory, '.git'), { recursive: true, force: true });
    settleTree(directory, { mtime: Number.isFinite(time) ? Math.max(0, time) : 0, keepGitDir: tree.keepGitDir });
    return treeKey(tree, commit, git);
  });
}

/** What servers and transports answer that give whole histories only, or only what a ref names. */
const TAKES_NO_SHORTCUT = /shallow|unadvertised|not our ref|no such remote ref|couldn't find remote ref/i;

/** Just the one commit where the server allows it, else the history of all branches and tags. */
async function fetchCommit({ name, commit }: ResolvedRef, git: Git, directory: string): Promise<string> {
  const options = ['fetch', '-q', '--no-tags', '--no-recurse-submodules', '--no-write-commit-graph'];
  try {
    await git.ask([...options, '--depth=1', 'origin', name ?? commit], directory);
    return await commitOf(git, directory, 'FETCH_HEAD');
  } catch (error) {
    if (!(error instanceof BuildError && TAKES_NO_SHORTCUT.test(error.message))) throw error;
  }
  await git.ask([...options, 'origin', '+refs/heads/*:refs/remotes/origin/*', '+refs/tags/*:refs/tags/*'], directory);
  try {
    return await commitOf(git, directory, commit);
  } catch (cause) {
    throw new BuildError('E_NOT_FOUND', `Cannot find the commit ${commit} in "${git.remote.shown}"`, {
      hint: 'It is on no branch and no tag of the repository',
      cause,
    });
  }
}

const commitOf = async (git: Git, directory: string, name: string): Promise<string> =>
  (await git.run(['rev-parse', '--verify', '-q', `${name}^{commit}`], directory)).trim();

async function fetchSubmodules(git: Git, directory: string): Promise<void> {
  const update = ['submodule', '-q', 'update', '--init', '--recursive'];
  try {
    await git.ask([...update, '--depth=1'], directory);
  } catch (error) {
    if (!(error instanceof BuildError && TAKES_NO_SHORTCUT.test(error.message))) throw error;
    await git.ask(update, directory);
  }
}

/** As a clone would look: the branch or tag is there, and nothing says when it was made. */
async function tidyGitDirectory(
  { name }: ResolvedRef,
  commit: string,
  { git, directory }: { readonly git: Git; readonly directory: string },
): Promise<void> {
  if (name !== undefined) await git.run(['update-ref', name, commit], directory);
  for (const leftover of ['FETCH_HEAD', 'ORIG_HEAD', 'logs']) {
    rmSync(join(directory, '.git', leftover), { recursive: true, force: true });
  }
}

/** Links in the repository may lead to the subdirectory, but not out of the repository. */
function subdirectory(tree: string, { subdir }: GitTree, { remote }: Git): string {
  if (subdir === undefined) return tree;
  try {
    const root = realpathSync(tree);
    const found = realpathSync(join(root, subdir));
    if (!found.startsWith(`${root}/`) && found !== root) {
      throw new BuildError(
        'E_PATH_ESCAPE',
        `Cannot use "${subdir}" of "${remote.shown}": it leads out of the repository`,
        {
          hint: 'It is a symbolic link: name the directory itself',
        },
      );
    }
    if (lstatSync(found).isDirectory()) return found;
  } catch (cause) {
    if (cause instanceof BuildError) throw cause;
    if (systemErrorCode(cause) !== 'ENOENT' && systemErrorCode(cause) !== 'ENOTDIR') throw cause;
  }
  throw new BuildError('E_NOT_FOUND', `Cannot use "${subdir}" of "${remote.shown}": there is no such directory`, {
    hint: 'What follows the colon is a directory of the repository: URL#ref:DIRECTORY',
  });
}
