/**
 * The image model: pure data and rules, no I/O. Digests, descriptors, manifests, configs, references, platforms,
 * and the ports (`ImageSource`, `ImageSink`, `ContentStore`, `CacheIndex`) that store and registry implement.
 */
export * from './cache-records.ts';
export * from './canonical-json.ts';
export * from './config.ts';
export * from './descriptor.ts';
export * from './digest.ts';
export { bytesPassed, shrink, staySmall, tidy } from './garbage.ts';
export * from './image.ts';
export * from './image-index.ts';
export * from './image-name.ts';
export * from './json-difference.ts';
export * from './manifest.ts';
export * from './media-types.ts';
export * from './mtime-rule.ts';
export { oneChunk } from './one-chunk.ts';
export * from './platform.ts';
export * from './ports.ts';
export * from './reference.ts';
export * from './verify.ts';
