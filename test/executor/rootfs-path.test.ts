import { expect, test } from 'vitest';
import { resolveInRoot } from '../../src/executor/rootfs-path.ts';
import { memoryView } from '../support/memory-view.ts';

const view = memoryView({
  '/usr': 'dir',
  '/usr/lib': 'dir',
  '/lib': '-> usr/lib',
  '/abs': '-> /usr/lib',
  '/up': '-> ../../../../../usr',
  '/loop': '-> loop2',
  '/loop2': '-> loop',
  '/dangling': '-> /nowhere/at/all',
});

test.each([
  ['/usr/lib/x', '/usr/lib/x'],
  ['/lib/x', '/usr/lib/x'],
  ['/abs/../lib/x', '/usr/lib/x'],
  ['/up/lib', '/usr/lib'],
  ['/../../etc', '/etc'],
  ['/dangling/x', '/nowhere/at/all/x'],
  ['/lib/', '/usr/lib'],
  ['/', '/'],
])('resolves %s to %s inside the root', (path, expected) => {
  expect(resolveInRoot(view, path).path).toBe(expected);
});

test('stops at the destination when that is the root of an archive', () => {
  const inner = memoryView({ '/d': 'dir', '/d/l': '-> ..', '/d/m': '-> /etc' });
  expect(resolveInRoot(inner, '/l/etc', '/d').path).toBe('/d/etc');
  expect(resolveInRoot(inner, '/m/passwd', '/d').path).toBe('/d/etc/passwd');
  expect(resolveInRoot(inner, '/../../x', '/d').path).toBe('/d/x');
});

test('refuses a loop of links', () => {
  expect(() => resolveInRoot(view, '/loop/x')).toThrow(/too many symbolic links/);
});
