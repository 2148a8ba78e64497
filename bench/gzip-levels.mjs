// What zlib's levels cost and save on a file: node bench/gzip-levels.mjs FILE. Blocks of 1 MiB on one core, as the layers have.
import { readFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';

const BLOCK = 1024 * 1024;
const data = readFileSync(process.argv[2]);
for (const level of [1, 2, 3, 4, 5, 6]) {
  const start = performance.now();
  let size = 0;
  for (let at = 0; at < data.length; at += BLOCK) size += deflateRawSync(data.subarray(at, at + BLOCK), { level }).length;
  console.log(`level ${level}: ${(performance.now() - start).toFixed(0)} ms, ${size} of ${data.length} bytes`);
}
