/**
 * The state directory: blobs, images and their names, cache records, the layer index, leases and garbage collection;
 * and images outside of it: OCI layouts, OCI archives and Docker archives.
 * Everything is a file that gets its name when it is complete, so processes need no lock to read, and a process that
 * dies leaves only a temporary file. A power cut can lose the newest blobs (never show wrong ones) and cache records.
 */
export {
  type ArchivedImage,
  type ArchiveKind,
  type ImageArchive,
  type OpenArchiveOptions,
  openArchive,
} from './archive.ts';
export { type ArchiveDestination, writeArchive } from './archive-output.ts';
export { DirectoryImage, type DirectoryImageOptions } from './directory-image.ts';
export { DockerArchiveSink } from './docker-archive.ts';
export type { Pruned, PruneOptions, RemoveLayerDirectory } from './gc.ts';
export type { ImageListing } from './image-listing.ts';
export type { Decompress } from './image-reader.ts';
export type { ImageStore, Removed } from './images.ts';
export { type CarriedCache, ImportedCache } from './imported-cache.ts';
export type { DiskLayerIndex } from './layer-index.ts';
export type { Lease } from './leases.ts';
export { OciArchiveSink } from './oci-archive.ts';
export { OciLayout, type OciLayoutOptions } from './oci-layout.ts';
export type { StorePaths } from './paths.ts';
export { identityOf, type ProcessIdentity } from './process-identity.ts';
export type { FetchBlob, Origin } from './remote-blobs.ts';
export { type Replacement, readRecord, replaceFile, withFileLock } from './state-file.ts';
export { openStore, type Store, type StoreBase, type StoreDependencies } from './store.ts';
export type { TagRecord } from './tags.ts';
export type { UsageLine } from './usage.ts';
export type { Problem, Verified } from './verify.ts';
