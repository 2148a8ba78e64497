import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { readOwnFacts, readXattrs } from '../../src/layers/attributes.ts';
import {
  encodeOwnerCarrier,
  encodeOwnerRecord,
  giveTo,
  isOwnerNote,
  OWNER_XATTR,
  ownerOf,
  parseOwnerCarrier,
  parseOwnerRecord,
  recordOwner,
  withoutRootId,
} from '../../src/layers/ownership.ts';
import { lgetxattr, llistxattr, lsetxattr } from '../../src/layers/syscalls.ts';
import { tempDir } from '../support/temp-dir.ts';

const id = fc.integer({ min: 0, max: 0xfffffffe });
const owner = fc.record({ uid: id, gid: id });

describe('the record of an owner', () => {
  it('is read as it was written, in the form of containers/storage', () => {
    expect(encodeOwnerRecord({ uid: 33, gid: 44, mode: 0o100644, type: 'file' })).toBe('33:44:0644:file');
    expect(encodeOwnerRecord({ uid: 0, gid: 5, mode: 0o042775, type: 'dir' })).toBe('0:5:2775:dir');
    fc.assert(
      fc.property(owner, fc.integer({ min: 0, max: 0o7777 }), (ids, mode) => {
        expect(parseOwnerRecord(encodeOwnerRecord({ ...ids, mode, type: 'file' }))).toEqual(ids);
        expect(parseOwnerCarrier(encodeOwnerCarrier(ids))).toEqual(ids);
      }),
    );
  });

  it('is taken from other programs, too', () => {
    expect(parseOwnerRecord('1000:100:0755')).toEqual({ uid: 1000, gid: 100 });
    expect(parseOwnerRecord('0:0:600:char-1-3')).toEqual({ uid: 0, gid: 0 });
  });

  it.each([
    '',
    '1',
    '1:2',
    '1:2:',
    '-1:2:644',
    '4294967295:0:644',
    '1:99999999999:644',
    '1:2:8',
    '1:2:644:x y',
    ' 1:2:644',
  ])('is none where it is damaged: %j', (text) => expect(parseOwnerRecord(text)).toBeUndefined());

  it('on links is no capability set that anybody could mean', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const found = parseOwnerCarrier(bytes);
        if (found) expect(Buffer.from(bytes).readUInt32LE(12)).toBe(0x74736264);
      }),
    );
    const capabilities = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    expect(isOwnerNote('security.capability', capabilities)).toBe(false);
    expect(isOwnerNote('security.capability', encodeOwnerCarrier({ uid: 1, gid: 2 }))).toBe(true);
  });

  it('leaves out the id that the kernel puts behind capabilities for a process outside', () => {
    const inside = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    const outside = Buffer.concat([Buffer.from('01000003', 'hex'), inside.subarray(4), Buffer.from('ea030000', 'hex')]);
    expect(Buffer.from(withoutRootId(outside))).toEqual(inside);
    expect(withoutRootId(inside)).toEqual(inside);
  });
});

describe('files with a recorded owner', () => {
  let root = '';
  beforeEach(() => {
    root = tempDir();
    writeFileSync(join(root, 'file'), 'x');
    mkdirSync(join(root, 'dir'));
    symlinkSync('nowhere', join(root, 'link'));
    execFileSync('mkfifo', [join(root, 'fifo')]);
  });
  const stats = { uid: 65534, gid: 65534 };
  const isRoot = process.getuid?.() === 0;

  it.each(isRoot ? ['file', 'dir', 'link', 'fifo'] : ['file', 'dir'])('are whose the record says: %s', (name) => {
    const at = join(root, name);
    expect(ownerOf(at, stats, 'recorded')).toEqual({ uid: 0, gid: 0 });
    const before = lstatSync(at);
    recordOwner(at, { uid: 1000, gid: 33 });
    expect(lstatSync(at)).toMatchObject({ uid: before.uid, gid: before.gid, mode: before.mode });
    renameSync(at, `${at}-moved`);
    renameSync(`${at}-moved`, at);
    expect(ownerOf(at, stats, 'recorded')).toEqual({ uid: 1000, gid: 33 });
    expect(ownerOf(at, stats, 'real')).toEqual(stats);
    expect(readXattrs(at).size).toBe(0);
    recordOwner(at, { uid: 0, gid: 0 });
    expect(llistxattr(at)).toEqual([]);
  });

  it('keep their own attributes', () => {
    const at = join(root, 'file');
    lsetxattr(at, 'user.note', Buffer.from('hello'));
    giveTo(at, { uid: 7, gid: 8 }, 'recorded');
    chmodSync(at, 0o4755);
    const { xattrs, ...ids } = readOwnFacts(at, stats, 'recorded');
    expect(ids).toEqual({ uid: 7, gid: 8 });
    expect([...xattrs.keys()]).toEqual(['user.note']);
    expect(lgetxattr(at, OWNER_XATTR)).toBeDefined();
  });

  // a file of /proc that its owner may write to: attributes of others are refused before the filesystem is asked
  it('are named, with the id and a way out, where the filesystem takes no record', () => {
    expect(() => recordOwner('/proc/self/comm', { uid: 12, gid: 0 })).toThrow(
      /Cannot record that "\/proc\/self\/comm" belongs to 12:0/,
    );
  });
});
