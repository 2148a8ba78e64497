import { statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FileHasher } from '../../src/executor/file-hasher.ts';
import type { FileStat } from '../../src/executor/file-stat.ts';
import { type SourceRoot, statSource } from '../../src/executor/source-root.ts';
import { tempDir } from '../support/temp-dir.ts';
import { sourceRoot } from './support/copying.ts';

afterEach(() => {
  vi.useRealTimers();
});

function statOf(root: SourceRoot): FileStat {
  const stat = statSource(root, 'file');
  if (!stat) throw new Error('not there');
  return stat;
}

/** Whether the hash of a file of so much age is remembered, on a file system that wants `window` ms. */
function isRemembered(age: number, window: number, change: (path: string) => void = () => undefined): boolean {
  const directory = tempDir();
  const path = join(directory, 'file');
  writeFileSync(path, 'text');
  change(path);
  const root = sourceRoot(directory);
  const hasher = new FileHasher(join(tempDir(), 'cache'), () => window);
  const { ctimeMs, mtimeMs } = statSync(path);
  vi.useFakeTimers({ toFake: ['Date'], now: Math.floor(Math.max(ctimeMs, mtimeMs)) + age });
  const stat = statOf(root);
  hasher.hash({ root, path: 'file' }, stat);
  return hasher.known({ root, path: 'file' }, stat) !== undefined;
}

describe('the hash of a file', () => {
  it('is remembered when the file was left alone for as long as its file system wants', () => {
    expect([isRemembered(200, 250), isRemembered(300, 250)]).toEqual([false, true]);
    expect([isRemembered(1900, 2000), isRemembered(2100, 2000)]).toEqual([false, true]);
    expect(isRemembered(10 ** 9, Number.POSITIVE_INFINITY)).toBe(false);
  });

  it('is not when its mtime lies ahead', () => {
    const ahead = (path: string) => utimesSync(path, Date.now() / 1000, Date.now() / 1000 + 3600);
    expect(isRemembered(-3_000_000, 250, ahead)).toBe(false);
  });

  it('is not when the file is changed while it is read: the age counts from the beginning', () => {
    const directory = tempDir();
    writeFileSync(join(directory, 'file'), 'text');
    const root = sourceRoot(directory);
    const hasher = new FileHasher(join(tempDir(), 'cache'), () => 250);
    const begun = statSync(join(directory, 'file')).ctimeMs + 100;
    let now = begun;
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.spyOn(Date, 'now').mockImplementation(() => {
      now += 1000; // the reading takes long
      return now - 1000;
    });
    const stat = statOf(root);
    hasher.hash({ root, path: 'file' }, stat);
    vi.restoreAllMocks();
    expect(hasher.known({ root, path: 'file' }, stat)).toBeUndefined();
  });
});
