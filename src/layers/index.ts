/**
 * Directories to tar bytes and back: snapshots, overlay, diff, apply, the tar codec, compression, extended attributes.
 */
export * from './tar/index.ts';
