/** Media types (OCI image-spec media-types.md; Docker image manifest v2 schema 2). */
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
export const OCI_LAYER_GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
export const OCI_LAYER_ZSTD = 'application/vnd.oci.image.layer.v1.tar+zstd';
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
export const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar';
export const DOCKER_LAYER_GZIP = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
const OCI_FOREIGN = 'application/vnd.oci.image.layer.nondistributable.v1.tar';
const DOCKER_FOREIGN_GZIP = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';

export const isIndex = (mediaType: string): boolean => mediaType === OCI_INDEX || mediaType === DOCKER_LIST;
export const isManifest = (mediaType: string): boolean => mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST;

/** Layers whose bytes the image's distributor does not allow to be pushed. */
export const isForeignLayer = (mediaType: string): boolean =>
  mediaType.startsWith(OCI_FOREIGN) || mediaType === DOCKER_FOREIGN_GZIP;

export type Compression = 'none' | 'gzip' | 'zstd';

const LAYERS: Readonly<Record<string, Compression>> = {
  [OCI_LAYER]: 'none',
  [OCI_LAYER_GZIP]: 'gzip',
  [OCI_LAYER_ZSTD]: 'zstd',
  [DOCKER_LAYER]: 'none',
  [DOCKER_LAYER_GZIP]: 'gzip',
  [OCI_FOREIGN]: 'none',
  [`${OCI_FOREIGN}+gzip`]: 'gzip',
  [`${OCI_FOREIGN}+zstd`]: 'zstd',
  [DOCKER_FOREIGN_GZIP]: 'gzip',
};

/** The compression that a layer's media type declares; undefined for something that is not a layer. */
export const layerCompression = (mediaType: string): Compression | undefined => LAYERS[mediaType];

export type ImageFormat = 'oci' | 'docker';

export const manifestType = (format: ImageFormat): string => (format === 'oci' ? OCI_MANIFEST : DOCKER_MANIFEST);
export const indexType = (format: ImageFormat): string => (format === 'oci' ? OCI_INDEX : DOCKER_LIST);
export const configType = (format: ImageFormat): string => (format === 'oci' ? OCI_CONFIG : DOCKER_CONFIG);

/** The layer media type for a format; undefined where the format has none (zstd in Docker schema 2). */
export function layerType(format: ImageFormat, compression: Compression): string | undefined {
  if (format === 'oci') return { none: OCI_LAYER, gzip: OCI_LAYER_GZIP, zstd: OCI_LAYER_ZSTD }[compression];
  return { none: DOCKER_LAYER, gzip: DOCKER_LAYER_GZIP, zstd: undefined }[compression];
}
