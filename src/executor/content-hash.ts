import { sha256 } from '../oci/index.ts';
import type { FileHasher } from './file-hasher.ts';
import type { SelectedSource } from './selected-source.ts';
import { hostPath, readSourceLink, type SourceRoot, unreadable } from './source-root.ts';
import type { SourceEntry } from './source-walk.ts';

/**
 * Digest of exactly what a COPY reads: names, types, modes, owners (where they are kept), link targets, xattrs,
 * hard links and bytes; never times.
 */
export function hashSources(sources: readonly SelectedSource[], hasher: FileHasher): string {
  const hash = sha256();
  const inodes = new Map<string, string>();
  for (const [position, source] of sources.entries()) {
    if (source.type === 'inline') {
      hash.update(JSON.stringify(['inline', source.name, source.content]));
      continue;
    }
    hash.update(JSON.stringify([source.type, source.type === 'file' ? source.name : '']));
    for (const entry of source.entries) {
      // of a directory that is named as a source only the contents are copied
      if (source.type === 'directory' && entry.relative === '') continue;
      try {
        hash.update(JSON.stringify(describe(source.root, entry, { hasher, inodes, position })));
      } catch (error) {
        throw unreadable(source.root, entry.path, error);
      }
    }
  }
  return `sha256:${hash.digest('hex')}`;
}

interface Memory {
  readonly hasher: FileHasher;
  /** Inode to the first name that it was met under, over all sources: the layer links them, too. */
  readonly inodes: Map<string, string>;
  /** Of the source. */
  readonly position: number;
}

function describe(root: SourceRoot, entry: SourceEntry, { hasher, inodes, position }: Memory): unknown[] {
  const { stat } = entry;
  const path = hostPath(root, entry.path);
  const owner = root.keepsOwners ? [Number(stat.uid), Number(stat.gid)] : [];
  const xattrs = [...hasher.xattrs(path, stat)].map(([name, value]) => [name, Buffer.from(value).toString('hex')]);
  const common = [entry.relative, Number(stat.mode), ...owner, xattrs];
  if (stat.isSymbolicLink()) return ['link', ...common, readSourceLink(root, entry.path)];
  if (stat.isDirectory()) return [entry.isParent ? 'parent' : 'directory', ...common];
  if (!stat.isFile()) return ['special', ...common, Number(stat.rdev)];
  if (stat.nlink > 1n) {
    const inode = `${stat.dev}:${stat.ino}`;
    const first = inodes.get(inode);
    if (first !== undefined) return ['hardlink', ...common, first];
    inodes.set(inode, `${position}/${entry.relative}`);
  }
  return ['file', ...common, hasher.hash(path, stat)];
}
