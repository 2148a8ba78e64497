/**
 * Times of the tar codec and of parallel gzip, beside GNU tar and gzip on the same data. From the root of the repository:
 *
 *     npx esbuild bench/tar.ts --bundle --platform=node --format=esm --outfile=dist/bench-tar.mjs && node dist/bench-tar.mjs
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { gzip } from '../src/layers/compression-gzip.ts';
import { encodeHeader, paddingAfter, TAR_END, TarDecoder, type TarEntry } from '../src/layers/tar/index.ts';

const FILES = 20_000;
const ROUNDS = 5;

const words = createHash('shake256', { outputLength: 8192 }).update('words').digest('hex');
const bodies = Array.from({ length: 64 }, (_, index) => Buffer.from(words.slice(0, 1024 + index * 112)));
const members = Array.from({ length: FILES }, (_, index) => {
  const body = bodies[index % bodies.length] ?? Buffer.alloc(0);
  const owner = { mode: 0o644, uid: 0, gid: 0, mtime: 1_700_000_000 + index };
  const entry: TarEntry = {
    ...owner,
    path: `usr/share/dir${index % 200}/file${index}.txt`,
    type: 'file',
    size: body.length,
  };
  return { entry, body };
});

/** The median of the milliseconds that `run` takes. */
async function time(what: string, bytes: number, run: () => unknown): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  const median = times.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0;
  const rate = (bytes / 1e6 / (median / 1000)).toFixed(0);
  console.log(`${what.padEnd(44)} ${median.toFixed(0).padStart(6)} ms ${rate.padStart(7)} MB/s`);
}

const encode = (): readonly Uint8Array[] =>
  members.flatMap(({ entry, body }) => [encodeHeader(entry), body, paddingAfter(body.length)]);
const tar = Buffer.concat([...encode(), TAR_END]);

function decode(): void {
  const decoder = new TarDecoder({
    entry: () => undefined,
    data: () => undefined,
    end: () => undefined,
  });
  for (let at = 0; at < tar.length; at += 65_536) decoder.push(tar.subarray(at, at + 65_536));
  decoder.finish();
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

async function drain(stream: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of stream);
}

const piped = (command: string, ...args: string[]) => spawnSync(command, args, { input: tar, maxBuffer: 1e9 });

console.log(`${FILES} files, ${(tar.length / 1e6).toFixed(0)} MB of tar; medians of ${ROUNDS}`);
await time('encode', tar.length, encode);
await time('decode', tar.length, decode);
await time('GNU tar -t (from a pipe)', tar.length, () => piped('tar', '-tf', '-'));
for (const concurrency of [1, 2, 4]) {
  await time(`gzip -6, ${concurrency} at once`, tar.length, () => drain(gzip(one(tar), { concurrency })));
}
await time('node gzipSync -6', tar.length, () => gzipSync(tar, { level: 6 }));
await time('gzip -6 (the program, from a pipe)', tar.length, () => piped('gzip', '-6c'));
