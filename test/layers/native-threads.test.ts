import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { tempDir } from '../support/temp-dir.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));

/** Ends itself (status 7) while its threads load native code, some of them ended before. */
const PROGRAM = `
import { isMainThread } from 'node:worker_threads';
import { endThread, libc, preparingNative, startThread } from '${project}src/layers/index.ts';
if (isMainThread) {
  const [, , before = '', after = ''] = process.argv;
  const threads = [1, 2, 3].map(() => startThread(new URL(import.meta.url)));
  setTimeout(() => void endThread(threads[0]), Number(before));
  setTimeout(() => process.exit(7), Number(after));
} else preparingNative(() => libc().library.func('int getppid()'))();
`;

it('a process may end while its threads load native code', { timeout: 60_000 }, () => {
  const file = join(tempDir(), 'program.mjs');
  const options = ['--bundle', '--platform=node', '--format=esm', '--external:koffi', `--outfile=${file}`];
  const banner =
    "--banner:js=import { createRequire as __r } from 'node:module'; const require = __r(import.meta.url);";
  execFileSync(`${project}node_modules/.bin/esbuild`, [...options, banner, '--log-level=error'], {
    input: PROGRAM,
    cwd: project,
  });
  execFileSync('ln', ['-s', `${project}node_modules`, join(file, '../node_modules')]);
  for (let delay = 20; delay < 60; delay += 2) {
    const { status, stderr } = spawnSync(process.execPath, [file, `${delay}`, `${delay + 7}`], { encoding: 'utf8' });
    expect({ delay, status, stderr }).toEqual({ delay, status: 7, stderr: '' });
  }
});
