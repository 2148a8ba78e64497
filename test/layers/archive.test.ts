import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { openIfArchive } from '../../src/layers/archive.ts';
import { encodeHeader, TAR_END } from '../../src/layers/tar/index.ts';
import { chunked, collect, decodeAll, owned } from './tar/archives.ts';

const tar = Buffer.concat([encodeHeader({ ...owned, path: 'f', type: 'file', size: 0 }), TAR_END]);
const compressWith = (program: string, input: Buffer) => execFileSync(program, ['-c'], { input });

const archives: readonly (readonly [string, Buffer])[] = [
  ['a tar', tar],
  ['a tar of the time before ustar', Buffer.concat([v7(tar), TAR_END])],
  ['a tar in gzip', gzipSync(tar)],
  ['a tar in bzip2', compressWith('bzip2', tar)],
  ['a tar in xz', compressWith('xz', tar)],
  ['a tar in zstd', compressWith('zstd', tar)],
];

/** The header without magic. */
function v7(whole: Buffer): Buffer {
  const block = Buffer.from(whole.subarray(0, 512));
  block.fill(0, 257, 265);
  block.write('        ', 148, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

const files: readonly (readonly [string, Buffer])[] = [
  ['an empty file (called x.tar.gz or not)', Buffer.alloc(0)],
  ['text', Buffer.from('hello\n'.repeat(200))],
  ['text in gzip', gzipSync('hello\n'.repeat(200))],
  ['nothing in gzip', gzipSync('')],
  ['the first bytes of gzip and no more', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0])],
  ['what begins like bzip2', Buffer.from('BZhello, this is only text')],
  ['what begins like xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2, 3])],
  ['a tar without entries', Buffer.from(TAR_END)],
  ['half a header', tar.subarray(0, 300)],
  ['a header with a wrong checksum', Buffer.from(tar).fill(0x78, 0, 1)],
  ['a tar in gzip in gzip', gzipSync(gzipSync(tar))],
];

describe('openIfArchive', () => {
  it.each(archives)('%s is an archive', async (_, bytes) => {
    const opened = await openIfArchive(() => chunked(bytes, 100));
    expect(opened).toBeDefined();
    if (opened) expect(decodeAll(await collect(opened)).map(({ entry }) => entry.path)).toEqual(['f']);
  });

  it.each(files)('%s is a file', async (_, bytes) => {
    expect(await openIfArchive(() => chunked(bytes, 100))).toBeUndefined();
  });

  it('passes on what opening throws', async () => {
    const failing = async function* () {
      yield tar.subarray(0, 10);
      throw new BuildError('E_CONTEXT', 'Cannot read "x"');
    };
    await expect(openIfArchive(failing)).rejects.toThrow('Cannot read "x"');
  });
});
