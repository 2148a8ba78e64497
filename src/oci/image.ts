import { encodeConfig, type ImageConfig } from './config.ts';
import type { Descriptor } from './descriptor.ts';
import { digestOf } from './digest.ts';
import { encodeManifest, type Manifest } from './manifest.ts';
import { configType, type ImageFormat, manifestType } from './media-types.ts';
import type { Image, Layer } from './ports.ts';

export interface NewImage {
  readonly format: ImageFormat;
  readonly config: ImageConfig;
  readonly layers: readonly Layer[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An image that we author. Equal inputs give equal bytes. The layers' descriptors must suit `format`. */
export function createImage({ format, config, layers, annotations }: NewImage): Image {
  const rawConfig = encodeConfig(config);
  const configDescriptor: Descriptor = {
    mediaType: configType(format),
    digest: digestOf(rawConfig),
    size: rawConfig.byteLength,
  };
  return assemble(manifestType(format), rawConfig, configDescriptor, config, layers, annotations);
}

/** The same image with other layer descriptors (compressed, or of another format); config bytes stay. */
export function withLayers(image: Image, layers: readonly Layer[], format: ImageFormat): Image {
  const annotations = (JSON.parse(Buffer.from(image.rawManifest).toString('utf8')) as Manifest).annotations;
  const configDescriptor = { ...image.configDescriptor, mediaType: configType(format) };
  return assemble(manifestType(format), image.rawConfig, configDescriptor, image.config, layers, annotations);
}

function assemble(
  mediaType: string,
  rawConfig: Uint8Array,
  configDescriptor: Descriptor,
  config: ImageConfig,
  layers: readonly Layer[],
  annotations: Readonly<Record<string, string>> | undefined,
): Image {
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType,
    config: configDescriptor,
    layers: layers.map((layer) => layer.descriptor),
    ...(annotations && Object.keys(annotations).length > 0 ? { annotations } : {}),
  };
  const rawManifest = encodeManifest(manifest);
  return {
    descriptor: { mediaType, digest: digestOf(rawManifest), size: rawManifest.byteLength },
    rawManifest,
    rawConfig,
    configDescriptor,
    config,
    layers,
  };
}
