import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BuildError } from '../../../src/errors.ts';
import {
  decodeTar,
  encodeHeader,
  encodeTarStream,
  paddingAfter,
  TAR_END,
  type TarEntry,
} from '../../../src/layers/tar/index.ts';
import { chunked, collect, decodeAll, owned } from './archives.ts';

const name = fc
  .oneof(
    fc.string({ minLength: 1, maxLength: 40, unit: 'binary' }),
    fc.string({ minLength: 90, maxLength: 180, unit: 'grapheme-ascii' }),
    fc.constantFrom(
      'a\nb',
      ' ',
      'ü',
      '\u{1F600}',
      '\uFEFFbom',
      'x'.repeat(255),
      '.wh.gone',
      '...',
      'a=b',
      '12 path=x\n',
    ),
  )
  .map((text) => text.replace(/[\0/]/g, '_'))
  .filter((text) => text !== '.' && text !== '..' && text !== '');
const path = fc.array(name, { minLength: 1, maxLength: 5 }).map((names) => names.join('/'));
const id = fc.oneof(fc.nat(70_000), fc.constantFrom(0, 2097151, 2097152, 4294967295), fc.nat(0xffff_ffff));
const time = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 31 }),
  fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
  fc.constantFrom(0, -1, 8 ** 11 - 1, 8 ** 11),
);
const xattrs = fc
  .dictionary(
    fc.constantFrom('user.x', 'security.capability', 'user.ü', 'trusted.overlay.opaque', 'user.a b'),
    fc.uint8Array({ maxLength: 300 }),
    { minKeys: 1 },
  )
  .map((pairs) => new Map(Object.entries(pairs)));
const base = fc.record(
  { path, mode: fc.nat(0o7777), uid: id, gid: id, mtime: time, xattrs },
  { requiredKeys: ['path', 'mode', 'uid', 'gid', 'mtime'] },
);
const target = fc.oneof(path, fc.constantFrom('/etc/passwd', '../../x', 'a//b/', '.', 'x'.repeat(300)));
const device = fc.record({ devMajor: id, devMinor: id });

/** Files have no body here: see the last test for those. */
const entry: fc.Arbitrary<TarEntry> = fc.oneof(
  base.map((b) => ({ ...b, type: 'file' as const, size: 0 })),
  base.map((b) => ({ ...b, type: 'directory' as const })),
  base.map((b) => ({ ...b, type: 'fifo' as const })),
  fc.tuple(base, target).map(([b, linkname]) => ({ ...b, type: 'symlink' as const, linkname })),
  fc.tuple(base, path).map(([b, linkname]) => ({ ...b, type: 'hardlink' as const, linkname })),
  fc
    .tuple(base, device, fc.constantFrom('char' as const, 'block' as const))
    .map(([b, d, type]) => ({ ...b, ...d, type })),
);

describe('a tar that we wrote', () => {
  it('gives back every field of every entry, in any chunking', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 5 }), fc.integer({ min: 1, max: 2000 }), (entries, step) => {
        const tar = Buffer.concat([...entries.map(encodeHeader), TAR_END]);
        expect(tar.length % 512).toBe(0);
        expect(decodeAll(tar, step).map((member) => member.entry)).toEqual(entries);
      }),
      { numRuns: 500 },
    );
  });

  it('has the same bytes for the same entry, whatever the order of its attributes', () => {
    fc.assert(
      fc.property(entry, (original) => {
        const reversed = original.xattrs && { xattrs: new Map([...original.xattrs].reverse()) };
        expect(encodeHeader({ ...original, ...reversed })).toEqual(encodeHeader(original));
      }),
    );
  });

  it('gives back files byte by byte, also those that nobody reads to their end', async () => {
    const files = fc.array(fc.tuple(path, fc.uint8Array({ maxLength: 3000 })), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(files, fc.integer({ min: 1, max: 1500 }), async (list, step) => {
        const members = list.map(([where, bytes]) => ({
          entry: { ...owned, type: 'file' as const, path: where, size: bytes.length },
          body: chunked(bytes, 700),
        }));
        const tar = await collect(encodeTarStream(members));
        const bodies: Buffer[] = [];
        for await (const { body } of decodeTar(chunked(tar, step))) bodies.push(await collect(body));
        expect(bodies).toEqual(list.map(([, bytes]) => Buffer.from(bytes)));
        const paths: string[] = [];
        for await (const member of decodeTar(chunked(tar, step))) paths.push(member.entry.path);
        expect(paths).toEqual(list.map(([where]) => where));
      }),
      { numRuns: 50 },
    );
  });

  it('announces files of 8 GiB and more', () => {
    const big: TarEntry = { ...owned, path: 'big', type: 'file', size: 8 ** 11 };
    const header = Buffer.from(encodeHeader(big));
    expect(header.toString('latin1', 512, 536)).toBe('19 size=8589934592\n'.padEnd(24, '\0'));
    expect(() => decodeAll(header)).toThrow(/ends at byte 1536, in the middle of a file/);
  });

  it('is plain ustar where that suffices', () => {
    const plain: TarEntry[] = [
      { ...owned, path: 'x'.repeat(100), type: 'file', size: 8 ** 11 - 1 },
      { ...owned, path: `${'p'.repeat(155)}/${'x'.repeat(100)}`, type: 'fifo' },
      { ...owned, path: `${'p'.repeat(155)}/${'x'.repeat(99)}`, type: 'directory' },
      { ...owned, path: '', type: 'directory', uid: 2097151, gid: 2097151, mtime: 8 ** 11 - 1 },
      { ...owned, path: 'l', type: 'symlink', linkname: 'y'.repeat(100) },
      { ...owned, path: 'wh', type: 'char', devMajor: 0, devMinor: 1048575 },
    ];
    expect(plain.map((each) => encodeHeader(each).byteLength)).toEqual(plain.map(() => 512));
  });

  it('cuts fractions of seconds downwards', () => {
    const times = [1.9, -0.5].map((mtime) => encodeHeader({ ...owned, mtime, path: 'f', type: 'fifo' }));
    expect(decodeAll(Buffer.concat(times)).map((member) => member.entry.mtime)).toEqual([1, -1]);
  });

  it('pads to blocks', () => {
    expect([0, 1, 511, 512, 513].map((size) => paddingAfter(size).byteLength)).toEqual([0, 511, 1, 0, 511]);
  });
});

describe('what no tar can say is refused on writing', () => {
  const cases: readonly (readonly [string, TarEntry, RegExp])[] = [
    [
      'a NUL in a name',
      { ...owned, path: 'a\0b', type: 'fifo' },
      /Cannot write "a\\u0000b" into a tar: a name has a NUL/,
    ],
    ['half a surrogate pair', { ...owned, path: 'a\uD800', type: 'fifo' }, /unpaired surrogate/],
    ['a link to nothing', { ...owned, path: 'l', type: 'symlink', linkname: '' }, /no target/],
    ['a negative owner', { ...owned, uid: -1, path: 'l', type: 'fifo' }, /uid -1 is out of range/],
    ['an owner beyond 32 bits', { ...owned, gid: 2 ** 32, path: 'l', type: 'fifo' }, /gid 4294967296 is out of range/],
    ['a file as the root', { ...owned, path: '', type: 'file', size: 0 }, /only a directory/],
    [
      'an attribute name with =',
      { ...owned, path: 'f', type: 'fifo', xattrs: new Map([['user.a=b', new Uint8Array(1)]]) },
      /attribute name "user.a=b"/,
    ],
  ];
  it.each(cases)('%s', (_, bad, message) => {
    expect(() => encodeHeader(bad)).toThrow(BuildError);
    expect(() => encodeHeader(bad)).toThrow(message);
  });

  it.each([2, 4])('a body of another size than announced (%d bytes instead of 3)', async (size) => {
    const entry = { ...owned, path: 'f', type: 'file', size: 3 } as const;
    const stream = encodeTarStream([{ entry, body: chunked(new Uint8Array(size)) }]);
    await expect(collect(stream)).rejects.toThrow(/"f" into a tar: it has not 3 bytes as announced/);
  });
});
