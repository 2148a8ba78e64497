import type { RootEntry, RootView } from '../../src/layers/index.ts';

/** `'dir'`, a file's text, or a link written `-> target`. */
export type MemoryTree = Readonly<Record<string, string>>;

const common = { mode: 0o755, uid: 0, gid: 0, mtime: 1000 };

function entryOf(path: string, value: string): RootEntry {
  if (value === 'dir') return { type: 'directory', path: path.slice(1), ...common };
  if (value.startsWith('-> '))
    return { type: 'symlink', path: path.slice(1), ...common, mode: 0o777, linkname: value.slice(3) };
  return { type: 'file', path: path.slice(1), ...common, mode: 0o644, size: Buffer.byteLength(value) };
}

/** A root described as data: `memoryView({ '/etc': 'dir', '/etc/passwd': 'root:x:0:0::/root:/bin/sh\n', '/l': '-> etc' })`. */
export function memoryView(tree: MemoryTree): RootView {
  const entries = new Map<string, RootEntry>([['/', entryOf('/', 'dir')]]);
  for (const [path, value] of Object.entries(tree)) entries.set(path, entryOf(path, value));
  return {
    lstat: (path) => entries.get(path),
    list: (path) => {
      const prefix = path === '/' ? '/' : `${path}/`;
      return [...entries.keys()]
        .filter((p) => p !== '/' && p.startsWith(prefix) && !p.slice(prefix.length).includes('/'))
        .map((p) => p.slice(prefix.length))
        .sort();
    },
    readFile: (path) => {
      const value = tree[path];
      return Promise.resolve(value === undefined ? undefined : Buffer.from(value));
    },
  };
}
