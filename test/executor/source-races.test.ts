import { mkdirSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileHasher } from '../../src/executor/file-hasher.ts';
import { hostEntry } from '../../src/executor/host-entry.ts';
import { selectSources } from '../../src/executor/selection.ts';
import { closeSource } from '../../src/executor/source-cursor.ts';
import { listSource, readSourceLink, type SourceRoot, statSource } from '../../src/executor/source-root.ts';
import { openUnchanged } from '../../src/executor/unchanged-file.ts';
import { tempDir } from '../support/temp-dir.ts';
import { copyOp, sourceRoot } from './support/copying.ts';

const CANARY = 'canary of the host';

interface Scene {
  readonly root: SourceRoot;
  /** What an attacker does who may write to the context: the directory becomes a link to one outside, with the same names. */
  swap(): void;
}

function scene(): Scene {
  const base = tempDir();
  for (const directory of ['context/d/sub', 'outside/sub']) mkdirSync(join(base, directory), { recursive: true });
  writeFileSync(join(base, 'context/d/file'), 'of the context');
  writeFileSync(join(base, 'outside/file'), CANARY);
  writeFileSync(join(base, 'outside/only-outside'), CANARY);
  symlinkSync('file', join(base, 'context/d/link'));
  symlinkSync(CANARY, join(base, 'outside/link'));
  return {
    root: sourceRoot(join(base, 'context')),
    swap() {
      renameSync(join(base, 'context/d'), join(base, 'context/away'));
      symlinkSync(join(base, 'outside'), join(base, 'context/d'));
    },
  };
}

describe('A directory of a context that becomes a link while it is read', () => {
  it('is not looked through: names, attributes and links are those of the context or none', () => {
    const { root, swap } = scene();
    statSource(root, 'd/file');
    closeSource(root); // nothing remembers the directory as it was
    swap();
    expect(statSource(root, 'd/file')).toBeUndefined();
    expect(statSource(root, 'd/only-outside')).toBeUndefined();
    expect(() => listSource(root, 'd')).toThrow(/Cannot read "d" in the context: ENOTDIR/);
    expect(() => readSourceLink(root, 'd/link')).toThrow('ENOTDIR');
  });

  it('between its listing and the look at its files: the files are those that were listed', () => {
    const { root, swap } = scene();
    let swapped = false;
    // asked for each name, after the directory is listed and before anything of it is looked at
    const ignore = {
      match: (path: string) => {
        if (path.startsWith('d/') && !swapped) {
          swapped = true;
          swap();
        }
        return { ignored: false };
      },
      canSkipDirectory: () => false,
      fileName: '.containerignore',
    };
    const [selected] = selectSources(copyOp(['d'], '/out'), () => ({ ...root, ignore }) as unknown as SourceRoot); // the fields that a walk asks for
    expect(swapped).toBe(true);
    const names = selected?.type === 'directory' ? selected.entries.map(({ relative }) => relative) : [];
    expect(names).not.toContain('only-outside');
    const file =
      selected?.type === 'directory' ? selected.entries.find(({ relative }) => relative === 'file') : undefined;
    expect(file?.stat.size).toBe('of the context'.length);
  });

  it('after it was looked at: its bytes, links and attributes are not read', () => {
    const { root, swap } = scene();
    const stat = statSource(root, 'd/file');
    const link = statSource(root, 'd/link');
    if (stat === undefined || link === undefined) throw new Error('the scene is incomplete');
    closeSource(root);
    swap();
    const file = { root, path: 'd/file' };
    expect(() => openUnchanged({ file, stat })).toThrow(/d\/file": ENOTDIR/);
    expect(() => new FileHasher(join(tempDir(), 'cache')).hash(file, stat)).toThrow('ENOTDIR');
    const entry = { relative: 'link', path: 'd/link', stat: link };
    const changes = { target: '/link', owner: undefined, chmod: undefined };
    expect(() => hostEntry(root, entry, changes)).toThrow('ENOTDIR');
  });

  it('and back, with a loop of renames: whatever is read is of the context', () => {
    const { root, swap } = scene();
    swap();
    const outside = statSync(join(root.directory, 'd/file')).size;
    for (let round = 0; round < 200; round++) {
      // both states, in turn
      renameSync(join(root.directory, 'd'), join(root.directory, 'other'));
      renameSync(join(root.directory, 'away'), join(root.directory, 'd'));
      renameSync(join(root.directory, 'other'), join(root.directory, 'away'));
      const seen = statSource(root, 'd/file');
      expect(seen === undefined || seen.size !== outside).toBe(true);
      closeSource(root);
    }
  });
});
