import { describe, expect, it } from 'vitest';
import { encodeHeader, type TarEntry } from '../../../src/layers/tar/index.ts';
import { owned } from './archives.ts';

/** Rows of 16 bytes as `offset hex |ascii|`, without those that are all zero. `npx vitest run -u` writes them anew. */
function hexDump(bytes: Uint8Array): string {
  const rows: string[] = [];
  for (let at = 0; at < bytes.byteLength; at += 16) {
    const row = Buffer.from(bytes.subarray(at, at + 16));
    if (row.every((byte) => byte === 0)) continue;
    const ascii = row.toString('latin1').replace(/[^ -~]/g, '.');
    rows.push(`${at.toString(16).padStart(4, '0')}  ${row.toString('hex').replace(/(....)(?=.)/g, '$1 ')}  |${ascii}|`);
  }
  return `${bytes.byteLength} bytes\n${rows.join('\n')}\n`;
}

const entries: Readonly<Record<string, TarEntry>> = {
  root: { ...owned, path: '', type: 'directory', mode: 0o755 },
  file: { ...owned, path: 'etc/passwd', type: 'file', size: 42, uid: 1000, gid: 1000, mtime: 1700000000 },
  'long-name': { ...owned, path: `${'d'.repeat(120)}/${'n'.repeat(101)}`, type: 'file', size: 0 },
  'prefix-name': { ...owned, path: `usr/share/${'d'.repeat(80)}/${'n'.repeat(60)}`, type: 'directory' },
  hardlink: { ...owned, path: 'bin/b', type: 'hardlink', linkname: 'bin/a' },
  device: { ...owned, path: 'dev/sda1', type: 'block', devMajor: 8, devMinor: 1, mode: 0o660, gid: 6 },
  pax: {
    ...owned,
    path: 'größe',
    type: 'file',
    size: 8 ** 11,
    uid: 4_000_000,
    gid: 5_000_000,
    mtime: -1,
    xattrs: new Map([
      ['user.z', Uint8Array.of(0, 10, 0x3d, 0xff)],
      ['security.capability', Uint8Array.of(1, 2, 3)],
    ]),
  },
};

describe('the bytes of a header never change from release to release', () => {
  it.each(Object.entries(entries))('%s', async (name, entry) => {
    await expect(hexDump(encodeHeader(entry))).toMatchFileSnapshot(`../../../fixtures/tar/${name}.hex`);
  });
});
