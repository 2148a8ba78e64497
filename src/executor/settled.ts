import { statfsSync } from 'node:fs';

/** A file whose ctime is younger than this when it is hashed may change again without its times changing. */
const LOCAL_MS = 2_000;
/**
 * Where another machine's clock gives the times, and what we see of them may be old: attributes are cached for up to 60 s
 * (nfs(5), acregmax).
 */
const NETWORK_MS = 120_000;

/** statfs(2), f_type; linux/magic.h. */
const NETWORK: ReadonlySet<number> = new Set([
  0x6969, // NFS
  0xff534d42, // CIFS
  0xfe534d42, // SMB2
  0x517b, // SMB
  0x01021997, // 9p
  0x65735546, // FUSE
  0x00c36400, // Ceph
  0x5346414f, // AFS
  0x47504653, // GPFS
  0x0bd00bd0, // Lustre
  0x786f4256, // VirtualBox
  0xbacbacbc, // VMware
]);

/** A change leaves no trace there that `touch -d` could not wipe out: ctime is none. */
const WITHOUT_CHANGE_TIME: ReadonlySet<number> = new Set([
  0x4d44, // FAT
  0x2011bab0, // exFAT
  0x4244, // HFS
]);

/**
 * How long, in milliseconds, a file must have been left alone before its size, times and inode say that its bytes are the
 * same; Infinity: they never say so.
 */
export function settledAfter(directory: string): number {
  let type: number;
  try {
    type = statfsSync(directory).type >>> 0;
  } catch {
    return Number.POSITIVE_INFINITY; // gone, or hidden: nothing is known of it
  }
  if (WITHOUT_CHANGE_TIME.has(type)) return Number.POSITIVE_INFINITY;
  return NETWORK.has(type) ? NETWORK_MS : LOCAL_MS;
}
