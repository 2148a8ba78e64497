import type { ImageConfig } from './config.ts';
import { digestOf } from './digest.ts';
import { encodeManifest } from './manifest.ts';
import { type ImageFormat, indexType } from './media-types.ts';
import { formatPlatform, type Platform } from './platform.ts';
import type { Image, ImageIndex, ImageOrIndex } from './ports.ts';

/** An index that we author: the images in the order given, each manifest once. Equal inputs give equal bytes. */
export function createIndex(images: readonly Image[], format: ImageFormat): ImageIndex {
  const unique = [...new Map(images.map((image) => [image.descriptor.digest, image])).values()];
  const mediaType = indexType(format);
  const rawManifest = encodeManifest({
    schemaVersion: 2,
    mediaType,
    manifests: unique.map(({ descriptor, config }) => ({ ...descriptor, platform: platformOf(config) })),
  });
  const descriptor = { mediaType, digest: digestOf(rawManifest), size: rawManifest.byteLength };
  return { descriptor, rawManifest, images: unique };
}

export const isImageIndex = (content: ImageOrIndex): content is ImageIndex => 'images' in content;

export const imagesOf = (content: ImageOrIndex): readonly Image[] =>
  isImageIndex(content) ? content.images : [content];

/** Of a set of images, those of other platforms than that of `image`, and it. */
export const withImage = (others: readonly Image[], image: Image): readonly Image[] => [
  ...others.filter(({ config }) => formatPlatform(config) !== formatPlatform(image.config)),
  image,
];

function platformOf(config: ImageConfig): Platform {
  const { os, architecture, variant, 'os.version': version, 'os.features': features } = config;
  return {
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(version === undefined ? {} : { 'os.version': version }),
    ...(features === undefined ? {} : { 'os.features': features }),
  };
}
