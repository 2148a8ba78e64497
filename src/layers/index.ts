/**
 * Layers: directories to tar bytes and back. Owns the tar codec's use on disk: unpacking (`apply`), whiteouts, extended attributes,
 * the layer directories of the state directory, snapshots over them (`overlay`, and `directory` where overlay cannot be
 * mounted), and look-ups in a chain without a mount (`RootView`). Hands `Mount`s to the sandbox and mounts nothing itself.
 * Hot file work runs synchronously in worker threads (`worker.ts`); files of sub-ids need the namespace.
 */
export { openIfArchive } from './archive.ts';
export { readXattrs } from './attributes.ts';
export { ChosenSnapshotter } from './chosen-snapshotter.ts';
export { type CompressionKind, decompress, detectCompression } from './compression.ts';
export { DirectorySnapshotter } from './directory.ts';
export { extentsOf, type FileExtent } from './file-extents.ts';
export { type FlatEntry, flattenLayers } from './flatten.ts';
export { LayerCheck } from './layer-check.ts';
export { compareLayers, type FileDifference } from './layer-difference.ts';
export { LayerDirectories } from './layer-directories.ts';
export { DiskLayerLibrary, type LayerLibraryParts } from './layer-library.ts';
export { LayerWorkers } from './layer-workers.ts';
export type { LayerLibrary, NewPatch } from './library.ts';
export { endThread, preparingNative, startThread } from './native-threads.ts';
export { OverlaySnapshotter } from './overlay.ts';
export { newOwnedName } from './owner.ts';
export {
  encodeOwnerCarrier,
  encodeOwnerRecord,
  type FileOwnerIds,
  giveTo,
  isOwnerNote,
  OWNER_XATTR,
  type Owners,
  ownerOf,
  parseOwnerCarrier,
  parseOwnerRecord,
} from './ownership.ts';
export type { RootEntry, RootView } from './root-view.ts';
export type {
  ActiveSnapshot,
  CommitOptions,
  CommittedLayer,
  Mount,
  Snapshotter,
  ViewSnapshot,
} from './snapshot.ts';
export {
  closeRead,
  type Libc,
  libc,
  mknod,
  openAt,
  openat2,
  RESOLVE_IN_ROOT,
  STATX_BYTES,
  SystemCallError,
  statx,
} from './syscalls.ts';
export * from './tar/index.ts';
export { type UnpackOptions, unpackTree } from './unpack-tree.ts';
export { refuseLiteralMarker } from './whiteout.ts';
