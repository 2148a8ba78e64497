import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { FileStat, statusOf } from '../../src/executor/file-stat.ts';
import { fstatOf, lstatOf } from '../../src/executor/file-status.ts';
import { tempDir } from '../support/temp-dir.ts';

/** More files than are asked of Node: the ones behind them are asked by the system call. */
const MANY = 3000;

/** One of each kind, and a descriptor of the directory that holds them. */
function files(): { readonly directory: string; readonly fd: number } {
  const directory = tempDir();
  writeFileSync(join(directory, 'file'), 'abc', { mode: 0o4751 });
  linkSync(join(directory, 'file'), join(directory, 'linked'));
  utimesSync(join(directory, 'file'), -1.5, -1.5);
  mkdirSync(join(directory, 'directory'));
  symlinkSync('nowhere', join(directory, 'link'));
  execFileSync('mkfifo', [join(directory, 'fifo')]);
  execFileSync('truncate', ['-s', '5G', join(directory, 'large')]);
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  onTestFinished(() => closeSync(fd));
  return { directory, fd };
}

const facts = (stat: FileStat) => ({ ...stat, inode: stat.inode, device: stat.device, newestMs: stat.newestMs });

it.each(['file', 'linked', 'directory', 'link', 'fifo', 'large', '.', '/dev/null', '/dev'])(
  'is the same by the system call as by Node: %s',
  (name) => {
    const { directory, fd } = files();
    for (let i = 0; i < MANY; i++) lstatOf({ directory: fd, name: 'file' });
    const path = name.startsWith('/') ? name : join(directory, name);
    const byNode = new FileStat(statusOf(lstatSync(path, { bigint: true })));
    expect(facts(lstatOf({ directory: fd, name }))).toEqual(facts(byNode));
  },
);

it('is that of an open file', () => {
  const { directory, fd } = files();
  const open = openSync(join(directory, 'file'), 'r');
  expect(facts(fstatOf(open))).toEqual(facts(lstatOf({ directory: fd, name: 'file' })));
  closeSync(open);
});

it('says what is missing as Node does', () => {
  const { fd } = files();
  expect(() => lstatOf({ directory: fd, name: 'absent' })).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});

it('can say that a file belongs to somebody else', () => {
  const { fd } = files();
  expect(lstatOf({ directory: fd, name: 'file' }, { uid: 7, gid: 8 })).toMatchObject({ uid: 7, gid: 8, size: 3 });
});
