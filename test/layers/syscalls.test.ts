import {
  closeSync,
  constants,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { freeze } from '../../src/layers/freeze.ts';
import { openat2, RESOLVE_IN_ROOT, SystemCallError } from '../../src/layers/index.ts';
import { namesIn } from '../../src/layers/layer-walk.ts';
import { MergedTree } from '../../src/layers/merged-tree.ts';
import { runJob } from '../../src/layers/run-job.ts';
import { lgetxattr, llistxattr, lsetxattr, mknod, nextData } from '../../src/layers/syscalls.ts';
import { isOpaque, makeOpaqueDirectory, makeWhiteout } from '../../src/layers/whiteout.ts';
import { isRoot, scratch } from './support.ts';

const home = scratch();
afterAll(home.remove);
const at = (name: string): string => join(home.path, name);

describe('system calls', () => {
  it('never follow a symlink for attributes', () => {
    writeFileSync(at('target'), 'x');
    symlinkSync('target', at('link'));
    lsetxattr(at('target'), 'user.a', Buffer.from([0, 255]));
    expect(llistxattr(at('target'))).toEqual(['user.a']);
    expect(lgetxattr(at('target'), 'user.a')).toEqual(Uint8Array.of(0, 255));
    expect(lgetxattr(at('link'), 'user.a')).toBeUndefined();
    expect(lgetxattr(at('target'), 'user.none')).toBeUndefined();
  });

  it('fail as those of node:fs do', () => {
    expect(() => llistxattr(at('missing'))).toThrow(SystemCallError);
    expect(() => llistxattr(at('missing'))).toThrow(expect.objectContaining({ code: 'ENOENT', syscall: 'llistxattr' }));
  });

  it('open paths inside of a root, whatever links say', () => {
    mkdirSync(at('root/etc'), { recursive: true });
    writeFileSync(at('root/etc/passwd'), 'inside');
    symlinkSync('/etc/passwd', at('root/absolute'));
    symlinkSync('../../../../etc/passwd', at('root/climbing'));
    const root = openSync(at('root'), constants.O_RDONLY);
    for (const name of ['absolute', 'climbing', '/etc/passwd', '../etc/passwd']) {
      const fd = openat2(root, name, { flags: constants.O_RDONLY, resolve: RESOLVE_IN_ROOT });
      expect(readFileSync(fd, 'utf8')).toBe('inside');
      closeSync(fd);
    }
    closeSync(root);
  });

  it('find the data of a sparse file', () => {
    const fd = openSync(at('sparse'), 'w+');
    ftruncateSync(fd, 8 << 20);
    writeSync(fd, 'data', 4 << 20);
    const data = nextData(fd, 0);
    expect(data?.start).toBe(4 << 20);
    expect(nextData(fd, data?.end ?? 0)).toBeUndefined();
    closeSync(fd);
  });

  it.runIf(isRoot)('make devices with large numbers', () => {
    mknod(at('fifo'), 0o010600, { major: 0, minor: 0 });
    expect(lstatSync(at('fifo')).isFIFO()).toBe(true);
    makeWhiteout(at('gone'));
    expect(lstatSync(at('gone')).rdev).toBe(0);
  });
});

describe.runIf(isRoot)('freezing an upper directory', () => {
  it('drops deletions of what never was below, and their traces', () => {
    const upper = at('upper');
    makeOpaqueDirectory(upper);
    mkdirSync(join(upper, 'd'));
    makeWhiteout(join(upper, 'd/never'));
    makeOpaqueDirectory(join(upper, 'new'));
    const before = lstatSync(join(upper, 'd')).mtimeMs;
    const frozen = runJob({ kind: 'freeze', upper, layers: [], exclude: [], owners: 'real' });
    expect(frozen).toMatchObject({ meta: { implicit: [] } }); // mode 0700 of the root is a change
    expect(namesIn(join(upper, 'd'), 'd')).toEqual([]);
    expect(isOpaque(join(upper, 'new'))).toBe(false);
    expect(lstatSync(join(upper, 'd')).mtimeMs).toBe(Math.floor(before / 1000) * 1000);
  });

  it('does not follow links that a step put where a stub was', () => {
    const upper = at('upper2');
    mkdirSync(at('precious'));
    mkdirSync(upper);
    writeFileSync(at('precious/hosts'), 'x');
    symlinkSync(at('precious'), join(upper, 'etc'));
    freeze(upper, { tree: new MergedTree([]), sourceOf: () => '' }, { exclude: ['/etc/hosts'], owners: 'real' });
    expect(readFileSync(at('precious/hosts'), 'utf8')).toBe('x');
  });
});
