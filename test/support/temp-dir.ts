import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A fresh directory that goes with the test that called; absolute, without symbolic links. */
export function tempDir(): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'tsbuild-test-')));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
