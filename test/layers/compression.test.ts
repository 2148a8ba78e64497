import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { type CompressionKind, decompress, detectCompression } from '../../src/layers/compression.ts';
import { gzip } from '../../src/layers/compression-gzip.ts';
import { zstd } from '../../src/layers/compression-zstd.ts';
import { requires } from '../support/requires.ts';
import { chunked, collect } from './tar/archives.ts';

/** Compressible, but not too much: words and noise. */
function sample(size: number): Buffer {
  const noise = createHash('shake256', { outputLength: Math.ceil(size / 4) })
    .update('sample')
    .digest();
  const text = Buffer.alloc(size, 'the quick brown fox jumps over the lazy dog; ');
  for (let at = 0; at < size; at += 4) text[at] = noise[at / 4] ?? 0;
  return text;
}

const MIB = 1024 * 1024;
const data = sample(3 * MIB + 17);

describe('gzip', () => {
  it('gives the same bytes for any concurrency and any chunking', async () => {
    const expected = await collect(gzip(chunked(data), { concurrency: 1 }));
    for (const concurrency of [2, 8]) {
      expect((await collect(gzip(chunked(data, 999_983), { concurrency }))).equals(expected)).toBe(true);
    }
    expect(expected.subarray(0, 10).toString('hex')).toBe('1f8b08000000000000ff');
    expect(spawnSync('gzip', ['-t'], { input: expected }).status).toBe(0);
  });

  it.each([0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB])('%d bytes come back from gunzip', async (size) => {
    const zipped = await collect(gzip(chunked(data.subarray(0, size))));
    expect(gunzipSync(zipped).equals(data.subarray(0, size))).toBe(true);
  });

  it('is hardly larger than in one piece, and smaller with a higher level', async () => {
    const size = async (level: number) => (await collect(gzip(chunked(data), { level }))).length;
    expect(await size(6)).toBeLessThan(gzipSync(data, { level: 6 }).length * 1.01);
    expect(await size(9)).toBeLessThan(await size(1));
  });

  it('passes on an error of its source', async () => {
    const failing = async function* () {
      yield* chunked(data);
      throw new BuildError('E_SIZE_MISMATCH', 'Short');
    };
    await expect(collect(gzip(failing()))).rejects.toThrow('Short');
  });

  it('stops its source when it is left early', async () => {
    let read = 0;
    const source = async function* () {
      for (;;) {
        read++;
        yield randomBytes(MIB);
      }
    };
    for await (const chunk of gzip(source(), { concurrency: 2 })) if (chunk.length > 10) break;
    expect(read).toBeLessThan(6);
  });
});

describe('zstd', () => {
  it('gives the same bytes for any concurrency and any chunking', async () => {
    const large = Buffer.concat([data, data, data]);
    const expected = await collect(zstd(chunked(large), { concurrency: 1 }));
    for (const concurrency of [2, 8]) {
      expect((await collect(zstd(chunked(large, 999_983), { concurrency }))).equals(expected)).toBe(true);
    }
    if (requires('zstd', spawnSync('zstd', ['--version']).status === 0)) {
      expect(execFileSync('zstd', ['-dc'], { input: expected, maxBuffer: 1e8 }).equals(large)).toBe(true);
    }
  });

  it.each([0, 1, MIB, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1])('%d bytes come back', async (size) => {
    const plain = Buffer.concat([data, data]).subarray(0, size);
    const zipped = await collect(zstd(chunked(plain)));
    expect(detectCompression(zipped)).toBe('zstd');
    expect((await collect(decompress(chunked(zipped, 70_001), 'zstd'))).equals(plain)).toBe(true);
  });

  it('passes on an error of its source', async () => {
    const failing = async function* () {
      yield* chunked(data);
      throw new BuildError('E_SIZE_MISMATCH', 'Short');
    };
    await expect(collect(zstd(failing()))).rejects.toThrow('Short');
  });
});

const programs: readonly (readonly [CompressionKind, string, readonly string[]])[] = [
  ['gzip', 'gzip', ['-c']],
  ['zstd', 'zstd', ['-qc']],
  ['bzip2', 'bzip2', ['-c']],
  ['bzip2', 'bzip2', ['-c1']],
  ['xz', 'xz', ['-c0']],
];
const present = programs.filter(([, program]) => requires(program, spawnSync(program, ['--version']).status === 0));
const compressWith = (program: string, args: readonly string[], input: Uint8Array): Buffer =>
  execFileSync(program, [...args], { input, maxBuffer: 1e8 });

describe.each(present)('what %s compresses (%s %j)', (kind, program, args) => {
  const zipped = compressWith(program, args, data);

  it('is told by its first bytes and comes back, in any chunking', async () => {
    expect(detectCompression(zipped)).toBe(kind);
    for (const size of [1_000_000, 1021]) {
      const plain = await collect(decompress(chunked(zipped, size), kind));
      expect(plain.equals(data)).toBe(true);
    }
  });

  it('may be empty, may be joined with more', async () => {
    expect(await collect(decompress(chunked(compressWith(program, args, Buffer.alloc(0))), kind))).toEqual(
      Buffer.alloc(0),
    );
    const joined = Buffer.concat([
      compressWith(program, args, Buffer.from('one')),
      compressWith(program, args, Buffer.from('two')),
    ]);
    expect((await collect(decompress(chunked(joined), kind))).toString()).toBe('onetwo');
  });

  it('is refused when it is cut off', async () => {
    for (const size of [10, 1000, zipped.length - 1]) {
      await expect(collect(decompress(chunked(zipped.subarray(0, size)), kind))).rejects.toThrow(
        new RegExp(`Cannot decompress ${kind} data`),
      );
    }
  });

  it('never hangs or crashes when it is damaged', async () => {
    const small = compressWith(program, args, data.subarray(0, 20_000));
    await fc.assert(
      fc.asyncProperty(fc.nat(small.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const damaged = Buffer.from(small);
        damaged[at] = (damaged[at] ?? 0) ^ change;
        const result = await collect(decompress(chunked(damaged), kind)).catch((error: unknown) => error);
        if (!Buffer.isBuffer(result)) expect(result).toBeInstanceOf(BuildError);
      }),
      { numRuns: 25 },
    );
  });

  it('passes on an error of its source as it is', async () => {
    const failing = async function* () {
      yield zipped.subarray(0, 500);
      throw new BuildError('E_CANCELLED', 'Stopped');
    };
    await expect(collect(decompress(failing(), kind))).rejects.toThrow('Stopped');
  });

  it('gives a bomb in pieces that fit into memory', async () => {
    const bomb = compressWith(program, args, Buffer.alloc(60 * MIB));
    let size = 0;
    let largest = 0;
    for await (const chunk of decompress(chunked(bomb), kind)) {
      size += chunk.byteLength;
      largest = Math.max(largest, chunk.byteLength);
    }
    expect(size).toBe(60 * MIB);
    expect(largest).toBeLessThanOrEqual(MIB);
  });
});

describe('what is not compressed', () => {
  it('passes unchanged', async () => {
    expect(detectCompression(data)).toBe('none');
    expect((await collect(decompress(chunked(data), 'none'))).equals(data)).toBe(true);
  });

  it.each(['', 'B', '\x1f\x8b', '(\xb5/'])('%j is too short to be compressed', (text) => {
    expect(detectCompression(Buffer.from(text, 'latin1'))).toBe('none');
  });
});
