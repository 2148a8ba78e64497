import { describe, expect, it } from 'vitest';
import { BuildError } from '../../../src/errors.ts';
import { decodeTar, encodeHeader, TAR_END, TarDecoder, type TarEntry } from '../../../src/layers/tar/index.ts';
import { chunked, decodeAll, owned } from './archives.ts';

/** A header block with some bytes changed and the checksum made right again. */
function forge(changes: Readonly<Record<number, string | Uint8Array>>, entry: TarEntry = plain): Buffer {
  const block = Buffer.from(encodeHeader(entry).subarray(-512));
  for (const [at, value] of Object.entries(changes)) block.set(Buffer.from(value as string), Number(at)); // or bytes
  block.write('        ', 148, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

const plain: TarEntry = { ...owned, path: 'f', type: 'file', size: 0 };
const octal = (size: number) => `${size.toString(8).padStart(11, '0')}\0`;
const padded = (text: string | Uint8Array) => {
  const body = Buffer.from(text as string); // or bytes
  return Buffer.concat([body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
};
const extension = (flag: string, body: string | Uint8Array) =>
  Buffer.concat([forge({ 156: flag, 124: octal(Buffer.byteLength(body)) }), padded(body)]);
const pax = (...records: readonly string[]) => extension('x', records.map(record).join(''));
function record(text: string): string {
  const rest = Buffer.byteLength(text) + 2;
  const digits = String(rest + String(rest).length).length;
  return `${rest + digits} ${text}\n`;
}
const header = Buffer.from(encodeHeader(plain));
const join = (...parts: readonly Uint8Array[]) => Buffer.concat([...parts, TAR_END]);
const sparse10 = (map: string, size = map.length) =>
  join(
    pax('GNU.sparse.major=1', 'GNU.sparse.minor=0', 'GNU.sparse.realsize=100', 'GNU.sparse.name=s'),
    forge({ 124: octal(size) }),
    padded(map),
  );

const bad: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['a changed byte in a header', Buffer.from(header).fill(0x78, 0, 1), /no header at byte 0: wrong checksum/],
  ['text', padded('this is no tar'), /no header at byte 0/],
  ['a header cut off', header.subarray(0, 511), /ends at byte 511, in the middle of an entry/],
  [
    'a file cut off',
    Buffer.concat([forge({ 124: octal(10) }), Buffer.from('abc')]),
    /ends at byte 515, in the middle of a file/,
  ],
  ['padding cut off', Buffer.concat([forge({ 124: octal(10) }), Buffer.alloc(10)]), /in the middle of an entry/],
  ['a PAX header that belongs to nothing', pax('path=a'), /in the middle of an entry/],
  ['a PAX header before the end', join(pax('path=a')), /wrong checksum/],
  ['a long name that belongs to nothing', extension('L', 'name\0'), /in the middle of an entry/],
  ['a single zero block in the middle', Buffer.concat([header, Buffer.alloc(512), header]), /goes on at byte 1024/],
  ['size that is no number', forge({ 124: 'zzzzzzzzzzz\0' }), /bad size/],
  ['negative size', forge({ 124: Buffer.alloc(12, 0xff) }), /bad size/],
  ['size beyond 2^53', forge({ 124: Buffer.from('800000ffffffffffffffffff', 'hex') }), /bad size/],
  ['negative owner', forge({ 108: Buffer.alloc(8, 0xff) }), /bad uid \(entry "f"\)/],
  ['owner beyond 32 bits', forge({ 116: Buffer.from('8000000100000000', 'hex') }), /bad gid/],
  ['mode that is no number', forge({ 100: '9999999\0' }), /bad mode/],
  ['time that is no number', forge({ 136: 'yesterday...' }), /time of modification/],
  ['an unknown type', forge({ 156: 'M' }), /type "M" are not supported/],
  ['a link to nothing', forge({ 156: '2' }), /a link has no target \(entry "f"\)/],
  ['a name that is not UTF-8', forge({ 0: Buffer.from('caf\xe9', 'latin1') }), /the name "caf\\xe9" is not UTF-8/],
  ['a PAX name with NUL', join(pax('path=a\0b'), header), /contains a NUL/],
  ['a PAX header of 1 GiB', forge({ 156: 'x', 124: octal(2 ** 30) }), /1073741824 bytes is larger/],
  ['a long name of 1 GiB', forge({ 156: 'L', 124: octal(2 ** 30) }), /1073741824 bytes is larger/],
  ['PAX length 0', join(extension('x', '0 path=a\n'), header), /bad length/],
  ['PAX length too long', join(extension('x', '99 path=a\n'), header), /bad length/],
  ['PAX length too short', join(extension('x', '3 path=a\n'), header), /PAX record/],
  ['PAX length negative', join(extension('x', '-9 path=a\n'), header), /bad length/],
  ['PAX length without end', join(extension('x', '9'.repeat(600)), header), /bad length/],
  ['PAX record without =', join(extension('x', '8 path\n\n'), header), /malformed/],
  ['PAX record without newline', join(extension('x', '10 path=ab'), header), /malformed/],
  ['PAX size negative', join(pax('size=-1'), header), /"size" is no number in range/],
  ['PAX size lies', join(pax('size=9999'), header), /in the middle of a file/],
  ['PAX uid huge', join(pax('uid=4294967296'), header), /"uid"/],
  ['PAX time with exponent', join(pax('mtime=1e400'), header), /time of modification/],
  ['PAX attribute without a name', join(pax('SCHILY.xattr.=x'), header), /has no name/],
  ['sparse map beyond the file', sparse10('1\n90\n20\n'.padEnd(512, '\0') + 'x'.repeat(20)), /map of a sparse file/],
  [
    'sparse map that overlaps',
    join(pax('GNU.sparse.size=9', 'GNU.sparse.map=5,2,0,2'), forge({ 124: octal(4) })),
    /map/,
  ],
  ['sparse map of odd length', join(pax('GNU.sparse.size=9', 'GNU.sparse.map=5'), header), /map of a sparse file/],
  ['sparse map that never ends', sparse10('9'.repeat(512)), /map of a sparse file/],
  ['sparse map longer than the body', sparse10('99\n'), /too large or cut off/],
  ['sparse data missing', join(pax('GNU.sparse.size=9', 'GNU.sparse.map=0,9'), header), /map of a sparse file/],
  ['an exabyte of zeros', join(pax(`GNU.sparse.size=${2 ** 50}`, 'GNU.sparse.map='), header), /larger than any file/],
  ['an unknown sparse version', join(pax('GNU.sparse.major=2', 'GNU.sparse.minor=0'), header), /sparse format 2\.0/],
  ['a sparse directory', join(pax('GNU.sparse.size=9', 'GNU.sparse.map='), forge({ 156: '5' })), /sparse but no file/],
];

describe('a damaged or hostile tar is refused', () => {
  it.each(bad)('%s', (_, tar, message) => {
    for (const step of [tar.byteLength, 100]) {
      expect(() => decodeAll(tar, step)).toThrow(BuildError);
      expect(() => decodeAll(tar, step)).toThrow(message);
    }
  });

  it('with an error that stays', () => {
    const decoder = new TarDecoder({ entry: () => undefined, data: () => undefined, end: () => undefined });
    expect(() => decoder.push(padded('no tar'))).toThrow(BuildError);
    decoder.push(header);
    expect(() => decoder.finish()).toThrow(BuildError);
  });

  it('and ten thousand random changes end in entries or in a BuildError, never in a hang', () => {
    const seeds = [
      join(pax('path=ü', 'SCHILY.xattr.user.a=b', 'mtime=1.5'), forge({ 124: octal(3) }), padded('abc'), header),
      sparse10('2\n0\n5\n50\n5\n'.padEnd(512, '\0') + 'x'.repeat(10)),
      join(extension('L', `${'n'.repeat(200)}\0`), extension('K', 'target\0'), forge({ 156: '1' })),
      join(forge({ 156: 'S', 124: octal(4), 386: octal(0), 398: octal(4), 483: octal(4096) }), padded('data')),
    ];
    let state = 42;
    const random = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    let refused = 0;
    for (let run = 0; run < 10_000; run++) {
      const tar = Buffer.from(seeds[run % seeds.length] ?? header);
      // Behind right checksums is where the parser lives.
      for (let change = random(4); change >= 0; change--)
        tar[random(tar.length)] = random(3) ? random(256) : 0x30 + random(10);
      if (random(2)) for (let at = 0; at + 512 <= tar.length; at += 512) fixChecksum(tar.subarray(at, at + 512));
      try {
        drain(tar.subarray(0, random(8) ? tar.length : random(tar.length)), 1 + random(1000));
      } catch (error) {
        if (!(error instanceof BuildError)) throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });
});

function fixChecksum(block: Buffer): void {
  if (!block.subarray(257, 262).equals(Buffer.from('ustar'))) return;
  block.write('        ', 148, 'latin1');
  block.write(
    `${block
      .reduce((total, byte) => total + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
    'latin1',
  );
}

function drain(tar: Uint8Array, step: number): void {
  const decoder = new TarDecoder({
    entry: () => undefined,
    data: () => undefined,
    hole: () => undefined,
    end: () => undefined,
  });
  for (let at = 0; at < tar.byteLength; at += step) decoder.push(tar.subarray(at, at + step));
  decoder.finish();
}

describe('what is odd but harmless is read', () => {
  const paths = (tar: Uint8Array) => decodeAll(tar).map(({ entry }) => entry.path);

  it('names are cleaned; what climbs above the root shows it', () => {
    const names = ['./a//b/.', '/etc/passwd', 'a/../b', '../x', '/../../x', 'a/../../x', '.', '..', '.hidden', 'a..b'];
    const tar = names.map((path) => forge({ 0: Buffer.from(path.padEnd(20, '\0')), 156: '5' }));
    expect(paths(join(...tar))).toEqual([
      'a/b',
      'etc/passwd',
      'b',
      '../x',
      '../../x',
      '../x',
      '',
      '..',
      '.hidden',
      'a..b',
    ]);
  });

  it('nothing after the end is read, as in GNU tar and Go', () => {
    expect(paths(Buffer.concat([join(header), header, Buffer.from('rest')]))).toEqual(['f']);
  });

  it('the end may be missing, half there or far behind; there may be nothing at all', () => {
    for (const end of [0, 512, 10_240]) expect(paths(Buffer.concat([header, Buffer.alloc(end)]))).toEqual(['f']);
    expect([paths(new Uint8Array(0)), paths(TAR_END)]).toEqual([[], []]);
  });

  it('checksums over signed bytes', () => {
    const block = forge({ 0: Buffer.from('ü') });
    block.write('        ', 148, 'latin1');
    const sum = block.reduce((total, byte) => total + (byte > 127 ? byte - 256 : byte), 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    expect(paths(block)).toEqual(['ü']);
  });

  it('base-256 numbers, also negative ones', () => {
    const tar = forge({ 136: Buffer.alloc(12, 0xff), 108: Buffer.from('80000000ffffffff', 'hex') });
    expect(decodeAll(tar)[0]?.entry).toMatchObject({ mtime: -1, uid: 0xffff_ffff });
  });

  it('global PAX records hold until they are replaced; those of an entry beat them; an empty one takes back', () => {
    const tar = join(
      extension('g', record('uid=7') + record('mtime=-1.25')),
      header,
      pax('uid=8'),
      header,
      pax('uid='),
      header,
      extension('g', record('uid=9')),
      header,
    );
    expect(decodeAll(tar).map(({ entry }) => [entry.uid, entry.mtime])).toEqual([
      [7, -1.25],
      [8, -1.25],
      [0, -1.25],
      [9, -1.25],
    ]);
  });

  it('a prefix with ustar magic only; GNU keeps times there', () => {
    const times = { 345: octal(1), 357: octal(2) };
    expect(paths(forge({ 345: 'dir' }))).toEqual(['dir/f']);
    expect(paths(forge({ ...times, 257: 'ustar  \0' }))).toEqual(['f']);
    expect(paths(forge({ 345: 'dir', 257: 'ustar  \0' }))).toEqual(['dir/f']);
    expect(paths(forge({ 345: 'dir', 257: Buffer.alloc(8) }))).toEqual(['f']);
  });

  it('links and directories that claim a size have no bytes', () => {
    const tar = join(forge({ 156: '5', 124: octal(1000) }), header);
    expect(paths(tar)).toEqual(['f', 'f']);
  });

  it('holes are told apart where the reader wants that', () => {
    const events: string[] = [];
    const decoder = new TarDecoder({
      entry: (entry, offset) => void events.push(`${entry.type} ${entry.path} ${offset}`),
      data: (chunk) => void events.push(`data ${chunk.byteLength}`),
      hole: (size) => void events.push(`hole ${size}`),
      end: () => void events.push('end'),
    });
    decoder.push(sparse10('1\n50\n5\n'.padEnd(512, '\0') + 'x'.repeat(5)));
    decoder.finish();
    expect(events).toEqual(['file s undefined', 'hole 50', 'data 5', 'hole 45', 'end']);
  });
});

describe('decodeTar', () => {
  it('closes its source when it is left early', async () => {
    let isClosed = false;
    const source = async function* () {
      try {
        yield* chunked(join(header, header), 512);
      } finally {
        isClosed = true;
      }
    };
    for await (const _ of decodeTar(source())) break;
    expect(isClosed).toBe(true);
  });
});
