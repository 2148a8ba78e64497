import { lstatSync, readlinkSync } from 'node:fs';
import { readOwnFacts } from './attributes.ts';
import type { FileFacts } from './file-facts.ts';
import type { Owners } from './ownership.ts';
import type { RootEntry } from './root-view.ts';

/** Parts of a device number as the C library packs them (gnu_dev_major in glibc's sys/sysmacros.h; musl does the same). */
const majorOf = (dev: number): number => ((dev >>> 8) & 0xfff) + Math.floor(dev / 2 ** 44) * 0x1000;
const minorOf = (dev: number): number => (dev & 0xff) + ((Math.floor(dev / 2 ** 12) & 0xffffff00) >>> 0);

/** A file of a directory as a tar says it, under the name `path`; undefined for a socket, which no tar holds. */
export function entryAt(
  at: string,
  path: string,
  { owners, stats = lstatSync(at) }: { readonly owners: Owners; readonly stats?: FileFacts },
): RootEntry | undefined {
  const { uid, gid, xattrs } = readOwnFacts(at, stats, owners);
  const common = {
    path,
    mode: stats.mode & 0o7777,
    uid,
    gid,
    mtime: Math.floor(stats.mtimeMs / 1000),
    ...(xattrs.size > 0 ? { xattrs } : {}),
  };
  if (stats.isFile()) return { ...common, type: 'file', size: stats.size };
  if (stats.isDirectory()) return { ...common, type: 'directory' };
  if (stats.isSymbolicLink()) return { ...common, type: 'symlink', linkname: readlinkSync(at) };
  if (stats.isFIFO()) return { ...common, type: 'fifo' };
  if (!stats.isCharacterDevice() && !stats.isBlockDevice()) return undefined;
  const device = { devMajor: majorOf(stats.rdev), devMinor: minorOf(stats.rdev) };
  return { ...common, type: stats.isCharacterDevice() ? 'char' : 'block', ...device };
}
