import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hashSources } from '../../src/executor/content-hash.ts';
import { FileHasher } from '../../src/executor/file-hasher.ts';
import { selectSources } from '../../src/executor/selection.ts';
import { changedFiles, describeChanges, type Fingerprint, listFiles } from '../../src/executor/source-files.ts';
import { tempDir } from '../support/temp-dir.ts';
import { copyOp, sourceRoot } from './support/copying.ts';

function tree(directories = 1): string {
  const root = tempDir();
  for (let d = 0; d < directories; d++) {
    mkdirSync(join(root, `src/d${d}`), { recursive: true });
    for (const name of ['a', 'b', 'c c', 'e']) writeFileSync(join(root, `src/d${d}/${name}`), name);
  }
  return root;
}

function listed(root: string, sources = ['src', '<<h:x']): readonly string[] {
  const selected = selectSources(copyOp(sources, '/'), () => sourceRoot(root));
  const prints: Fingerprint[] = [];
  hashSources(selected, new FileHasher(join(root, '../none/cache')), { prints });
  return listFiles(selected, prints, 1000);
}

function fileChanges(before: readonly string[] | undefined, after: readonly string[]): string | undefined {
  const changes = changedFiles(before, after);
  return changes && describeChanges(changes);
}

/** What is said of a change to the tree. */
function said(change: (root: string) => void, directories?: number): string | undefined {
  const root = tree(directories);
  const before = listed(root);
  change(root);
  return fileChanges(before, listed(root));
}

describe('the files that a miss is due to', () => {
  it.each<[string, (src: string) => void]>([
    ['1 file changed (src/d0/a content)', (src) => writeFileSync(join(src, 'a'), 'A')],
    ['1 file changed (src/d0/c c mode)', (src) => chmodSync(join(src, 'c c'), 0o700)],
    ['1 file changed (src/d0/new added)', (src) => writeFileSync(join(src, 'new'), '')],
    ['1 file changed (src/d0/b removed)', (src) => rmSync(join(src, 'b'))],
    [
      '1 file changed (src/d0/a attributes)',
      (src) => execFileSync('setfattr', ['-n', 'user.x', '-v', '1', join(src, 'a')]),
    ],
    [
      '2 files changed (src/d0/a content, src/d0/b mode)',
      (src) => {
        writeFileSync(join(src, 'a'), 'A');
        chmodSync(join(src, 'b'), 0o700);
      },
    ],
    [
      '5 files changed (src/d0 removed, src/d0/a removed, src/d0/b removed, 2 more)',
      (src) => rmSync(src, { recursive: true }),
    ],
  ])('%s', (expected, change) => {
    expect(said((root) => change(join(root, 'src/d0')))).toBe(expected);
  });

  it('are named by their directories where they are many, and the list stays short', () => {
    const root = tree(300);
    const before = listed(root);
    expect(before.length).toBeLessThanOrEqual(1000);
    writeFileSync(join(root, 'src/d7/a'), 'A');
    expect(fileChanges(before, listed(root))).toBe('1 directory changed (src/d7/)');
  });

  it('are named by a directory above where even the directories are many', () => {
    const root = tree(1200);
    const before = listed(root);
    expect(before).toHaveLength(1);
    rmSync(join(root, 'src/d8/b'));
    expect(fileChanges(before, listed(root))).toBe('1 directory changed (src/)');
  });

  it('are not told of lists that cannot be compared, or are equal', () => {
    const lines = listed(tree());
    expect(fileChanges(undefined, lines)).toBeUndefined();
    expect(fileChanges(lines, lines)).toBeUndefined();
    expect(fileChanges(lines, listed(tree(300)))).toBeUndefined();
  });
});
