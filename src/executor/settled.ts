import { statfsSync } from 'node:fs';

/** A file whose ctime is younger than this when it is hashed may change again without its times changing. */
export const LOCAL_MS = 2_000;
/** The same where the kernel's own clock gives the times, which it reads each tick: 10 ms at most (`FINE`). */
const FINE_MS = 250;
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

/** Kept on this machine with times of nanoseconds; where inodes are too small for that, their ctimes say so. */
const FINE: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0x01021994, // tmpfs
  0xf2f52010, // F2FS
  0x2fc12fc1, // ZFS
  0xca451a4e, // bcachefs
]);

/** A change leaves no trace there that `touch -d` could not wipe out: ctime is none. */
const WITHOUT_CHANGE_TIME: ReadonlySet<number> = new Set([
  0x4d44, // FAT
  0x2011bab0, // exFAT
  0x4244, // HFS
]);

/**
 * How long, in milliseconds, a file must have been left alone before its size, times and inode say that its bytes are the
 * same; Infinity: they never say so. At least `LOCAL_MS` where the ctime itself has no fractions.
 */
export function settledAfter(directory: string): number {
  let type: number;
  try {
    type = statfsSync(directory).type >>> 0;
  } catch {
    return Number.POSITIVE_INFINITY; // gone, or hidden: nothing is known of it
  }
  if (WITHOUT_CHANGE_TIME.has(type)) return Number.POSITIVE_INFINITY;
  if (NETWORK.has(type)) return NETWORK_MS;
  return FINE.has(type) ? FINE_MS : LOCAL_MS;
}
