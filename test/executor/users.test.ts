import { expect, test } from 'vitest';
import { resolveOwner, resolveUser } from '../../src/executor/users.ts';
import { memoryView } from '../support/memory-view.ts';

const view = memoryView({
  '/etc': 'dir',
  '/etc/passwd': '-> ../usr/passwd',
  '/usr': 'dir',
  '/usr/passwd': 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n77:x:5:6::/five:/bin/sh\nbad\n',
  '/etc/group': 'root:x:0:\napp:x:1001:\nwheel:x:10:root,app\nvideo:x:44:app\n',
});
const empty = memoryView({});

test.each([
  ['', { uid: 0, gid: 0, groups: [0, 10], home: '/root' }],
  ['app', { uid: 1000, gid: 1001, groups: [10, 44, 1001], home: '/home/app' }],
  ['app:wheel', { uid: 1000, gid: 10, groups: [10], home: '/home/app' }],
  ['1000', { uid: 1000, gid: 1001, groups: [10, 44, 1001], home: '/home/app' }],
  ['4242', { uid: 4242, gid: 0, groups: [0], home: '/' }],
  ['4242:4343', { uid: 4242, gid: 4343, groups: [4343], home: '/' }],
  ['77', { uid: 5, gid: 6, groups: [6], home: '/five' }],
])('USER %s', async (spec, expected) => {
  expect(await resolveUser(view, spec)).toEqual(expected);
});

test('USER by number needs no passwd (edge case 105)', async () => {
  expect(await resolveUser(empty, '1000')).toEqual({ uid: 1000, gid: 0, groups: [0], home: '/' });
});

test('an unknown name is an error that says where it looked', async () => {
  await expect(resolveUser(view, 'nobody')).rejects.toMatchObject({
    code: 'E_UNKNOWN_USER',
    message: expect.stringContaining('/etc/passwd'),
  });
  await expect(resolveUser(view, 'app:nogroup')).rejects.toMatchObject({ code: 'E_UNKNOWN_USER' });
  await expect(resolveOwner(view, 'nobody')).rejects.toMatchObject({ code: 'E_UNKNOWN_USER' });
});

test('an unknown name is an error that offers the nearest name there is', async () => {
  await expect(resolveUser(view, 'ap')).rejects.toMatchObject({ hint: expect.stringContaining('Did you mean "app"?') });
  await expect(resolveOwner(view, 'app:whel')).rejects.toMatchObject({
    hint: expect.stringContaining('Did you mean "wheel"?'),
  });
});

test.each([
  ['7', { uid: 7, gid: 7 }],
  ['7:8', { uid: 7, gid: 8 }],
  ['app', { uid: 1000, gid: 1001 }],
  [':wheel', { uid: 0, gid: 10 }],
  ['7:wheel', { uid: 7, gid: 10 }],
  ['3000000:65534', { uid: 3000000, gid: 65534 }],
])('--chown=%s', async (spec, expected) => {
  expect(await resolveOwner(view, spec)).toEqual(expected);
});
