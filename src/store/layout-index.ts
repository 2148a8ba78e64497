import { BuildError } from '../errors.ts';
import {
  choosePlatform,
  type Descriptor,
  encodeManifest,
  formatReference,
  type ImageOrIndex,
  type Index,
  isImageEntry,
  isImageIndex,
  isIndexDocument,
  OCI_INDEX,
  type Platform,
  parseManifest,
  type Reference,
} from '../oci/index.ts';

/** OCI image-spec annotations.md: the tag within a layout. */
const REF_NAME = 'org.opencontainers.image.ref.name';
/** containerd's and docker's: the whole name. */
const IMAGE_NAME = 'io.containerd.image.name';

/** OCI image-layout.md. */
export const LAYOUT_FILE = Buffer.from('{"imageLayoutVersion":"1.0.0"}');

export const emptyIndex: Index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] };

/** Parses index.json. Throws `E_BAD_MANIFEST`. */
export function parseLayoutIndex(raw: Uint8Array): Index {
  const document = parseManifest(raw, OCI_INDEX);
  if (isIndexDocument(document)) return document;
  throw new BuildError('E_BAD_MANIFEST', 'Cannot read index.json: it is not an index');
}

export const encodeLayoutIndex = (index: Index): Uint8Array => encodeManifest(index);

/** The index with `content`; an entry of the same name is replaced. `name` as the user wrote it after `oci:DIR:`. */
export function addToIndex(
  index: Index,
  content: ImageOrIndex,
  { name, ref }: { name?: string | undefined; ref: Reference },
): Index {
  const tag = name ?? ref.tag;
  const annotations = {
    ...(tag === undefined ? {} : { [REF_NAME]: tag }),
    ...(name === undefined ? { [IMAGE_NAME]: formatReference(ref) } : {}),
  };
  const entry: Descriptor = { ...content.descriptor, annotations, ...platformOf(content) };
  const isSame = (other: Descriptor): boolean =>
    other.annotations?.[REF_NAME] === annotations[REF_NAME] &&
    other.annotations?.[IMAGE_NAME] === annotations[IMAGE_NAME];
  return { ...index, manifests: [...index.manifests.filter((other) => !isSame(other)), entry] };
}

/** Those of an index stand in it. */
function platformOf(content: ImageOrIndex): Pick<Descriptor, 'platform'> {
  if (isImageIndex(content)) return {};
  const { os, architecture, variant } = content.config;
  return { platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } };
}

/** The names of an entry, the whole one first. */
export const entryNames = ({ annotations }: Descriptor): readonly string[] =>
  [annotations?.[IMAGE_NAME], annotations?.[REF_NAME]].filter((name) => name !== undefined);

export interface EntryChoice {
  /** As the user wrote it; undefined: the only image. */
  readonly name: string | undefined;
  readonly platform: Platform | undefined;
  /** For error texts: the directory or file. */
  readonly where: string;
}

/** Throws `E_NO_IMAGE` and lists what is there. */
export function chooseFromIndex({ manifests: all }: Index, { name, platform, where }: EntryChoice): Descriptor {
  const manifests = all.filter(isImageEntry);
  const isNamed = (entry: Descriptor): boolean => entry.digest === name || entryNames(entry).includes(name ?? '');
  const named = name === undefined ? manifests : manifests.filter(isNamed);
  const chosen = named.length === 1 ? named[0] : platform && chooseAmong(named, platform);
  if (chosen) return chosen;
  const names = manifests.map((entry) => entryNames(entry).at(-1) ?? entry.digest);
  const what = named.length === 0 ? `no image ${name === undefined ? '' : `"${name}" `}in` : 'several images in';
  throw new BuildError('E_NO_IMAGE', `Cannot choose an image: ${what} "${where}"`, {
    hint: names.length === 0 ? 'Write an image to it first' : `Choose one of: ${names.join(', ')}`,
  });
}

/** Entries of one name for several platforms; several names are the user's choice, not ours. */
function chooseAmong(entries: readonly Descriptor[], platform: Platform): Descriptor | undefined {
  const names = new Set(entries.map((entry) => entryNames(entry).join(' ')));
  return names.size === 1 ? choosePlatform(entries, platform) : undefined;
}
