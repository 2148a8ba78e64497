import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../errors.ts';
import {
  asDigest,
  type DiffId,
  type Digest,
  hexOf,
  imagesOf,
  isForeignLayer,
  type Layer,
  type LayerIndex,
  type LayerSource,
} from '../oci/index.ts';
import type { DiskContentStore } from './blobs.ts';
import { parseCacheRecord } from './cache-index.ts';
import type { RemoveLayerDirectory } from './gc.ts';
import { idOf, isIndexRecord, parseStoredRecord, type StoredRecord } from './image-records.ts';
import type { ImageStore } from './images.ts';
import { parseLayerRecord } from './layer-index.ts';
import {
  blobPath,
  cachePath,
  imagePath,
  layerIndexPath,
  originPath,
  type StorePaths,
  slotPath,
  tagPath,
} from './paths.ts';
import { parseOrigins } from './remote-blobs.ts';
import { namesIn, readRecord } from './state-file.ts';
import { parseTag } from './tags.ts';

/** absent: there is no such form of the layer. unproved: nothing is left that it could be compared with. */
export type LayerState = 'absent' | 'sound' | 'damaged' | 'unproved';

/** Looks into the forms of a layer that only src/layers understands; reads every byte of them. */
export interface LayerCheck {
  directory(diffId: DiffId): Promise<LayerState>;
  tarIndex(diffId: DiffId): Promise<LayerState>;
  /** Of a layer that is kept as parts of others. */
  patch(diffId: DiffId): Promise<LayerState>;
}

export interface VerifyDependencies {
  readonly paths: StorePaths;
  readonly blobs: DiskContentStore;
  readonly images: ImageStore;
  readonly layerIndex: LayerIndex;
  readonly layers: LayerSource;
  /** Absent: only blobs and records are looked at. */
  readonly layerCheck?: LayerCheck | undefined;
  readonly removeLayerDirectory?: RemoveLayerDirectory | undefined;
}

/** Something that is not as it was written. */
export interface Problem {
  /** `blob sha256:...`, `image localhost/app:latest`, ... */
  readonly subject: string;
  readonly message: string;
  readonly isRepaired: boolean;
  /** What helps where it was not repaired. */
  readonly next?: string;
}

export interface Verified {
  readonly checked: {
    readonly blobs: number;
    readonly layers: number;
    readonly records: number;
    readonly images: number;
  };
  readonly problems: readonly Problem[];
}

/**
 * Compares every blob, layer and record with what it claims to be. `repair` removes what is wrong where it is made or
 * fetched again by itself, and writes records anew; an image that lost bytes which nothing else can give stays a problem.
 * To be called under a lease. A build that runs meanwhile does no harm: what it makes gets its name when it is whole.
 */
export const verifyStore = (deps: VerifyDependencies, options: { readonly repair: boolean }): Promise<Verified> =>
  new Verification(deps, options.repair).run();

class Verification {
  readonly #deps: VerifyDependencies;
  readonly #repair: boolean;
  readonly #problems: Problem[] = [];
  readonly #checked = { blobs: 0, layers: 0, records: 0, images: 0 };
  /** Found damaged, and perhaps still there. */
  readonly #badBlobs = new Set<Digest>();
  readonly #badLayers = new Set<DiffId>();

  constructor(deps: VerifyDependencies, repair: boolean) {
    this.#deps = deps;
    this.#repair = repair;
  }

  /** What is derived comes after what it is derived from. */
  async run(): Promise<Verified> {
    await this.#verifyBlobs();
    await this.#verifyRecords();
    await this.#verifyLayers();
    await this.#verifyImages();
    return { checked: this.#checked, problems: this.#problems };
  }

  async #verifyBlobs(): Promise<void> {
    const { blobs, paths } = this.#deps;
    for (const digest of await blobs.list()) {
      const actual = await blobs.hash(digest);
      if (actual === undefined) continue; // pruned meanwhile
      this.#checked.blobs++;
      if (actual === digest) continue;
      this.#badBlobs.add(digest);
      await this.#damaged(`blob ${digest}`, 'its bytes are not those of its name', blobPath(paths, digest));
    }
  }

  async #verifyRecords(): Promise<void> {
    const { paths } = this.#deps;
    for (const { directory, what, pathOf } of recordKinds(paths)) {
      for (const name of (await namesIn(directory)).filter((file) => file.endsWith('.json'))) {
        const path = join(directory, name);
        const record = await readRecord(path);
        if (record === undefined && !existsSync(path)) continue; // pruned meanwhile
        this.#checked.records++;
        if (record && pathOf(record) === path) continue;
        await this.#damaged(`${what} "${name}"`, 'it cannot be read, or stands in the wrong place', path);
      }
    }
  }

  async #verifyLayers(): Promise<void> {
    const { paths, layerCheck, removeLayerDirectory } = this.#deps;
    if (!layerCheck) return;
    for (const diffId of diffIdsIn(await namesIn(paths.layers))) {
      this.#checked.layers++;
      if ((await layerCheck.directory(diffId)) !== 'damaged') continue;
      this.#badLayers.add(diffId);
      await this.#report(`unpacked layer ${diffId}`, 'its files are not those of the layer', async () => {
        await removeLayerDirectory?.(diffId, { dryRun: false });
      });
    }
    for (const diffId of diffIdsIn((await namesIn(paths.layerIndex)).map((name) => name.replace(/\.json$/, '')))) {
      if ((await this.#deps.layerIndex.get(diffId))?.patch === undefined) continue;
      this.#checked.layers++;
      if ((await layerCheck.patch(diffId)) !== 'damaged') continue;
      await this.#damaged(
        `record of layer ${diffId}`,
        'its parts are not those of the layer',
        layerIndexPath(paths, diffId),
      );
    }
    for (const diffId of diffIdsIn(await namesIn(paths.tarIndex))) {
      this.#checked.layers++;
      if ((await layerCheck.tarIndex(diffId)) !== 'damaged') continue;
      const path = join(paths.tarIndex, hexOf(diffId));
      await this.#damaged(`table of contents of layer ${diffId}`, 'it is not that of the layer', path);
    }
  }

  /** Named ones: what has no name goes with the next prune. A lost record of an image is written again. */
  async #verifyImages(): Promise<void> {
    const { images } = this.#deps;
    const records = new Map((await images.records()).map((record) => [record.manifest.digest, record]));
    for (const { name, manifest } of await images.tags()) {
      this.#checked.images++;
      const record = records.get(manifest);
      // To open an image writes a lost record again and removes a damaged blob, which is not what a mere check is for.
      if (!this.#repair && !record) continue;
      const isBad = [manifest, ...documentsOf(record, records)].some((digest) => this.#badBlobs.has(digest));
      const missing = isBad ? 'its manifest or config is damaged' : await this.#missingOf(manifest);
      if (missing === undefined) continue;
      const next = `Pull or build "${name}" again, or remove it: tsbuild rmi ${name}`;
      this.#problems.push({ subject: `image ${name}`, message: missing, isRepaired: false, next });
    }
  }

  async #missingOf(manifest: Digest): Promise<string | undefined> {
    try {
      const content = await this.#deps.images.content(manifest);
      for (const layer of imagesOf(content).flatMap(({ layers }) => layers)) {
        if (!isForeignLayer(layer.descriptor.mediaType) && !(await this.#isHere(layer)))
          return `its layer ${layer.descriptor.digest} is lost`;
      }
      return undefined;
    } catch (error) {
      if (error instanceof BuildError) return error.message;
      throw error;
    }
  }

  /** A tar can be made from any form of the layer, the bytes of a compressed blob from none. */
  async #isHere({ descriptor, diffId }: Layer): Promise<boolean> {
    const { blobs, layers } = this.#deps;
    const isGone = this.#badBlobs.has(descriptor.digest) && !this.#repair;
    if (!isGone && (await blobs.has(descriptor.digest))) return true; // perhaps in its registry
    if (descriptor.digest !== asDigest(diffId) || this.#badLayers.has(diffId)) return false;
    return !(await this.#isOfBadParts(diffId)) && (await layers.find(diffId)) !== undefined;
  }

  /** The only form of the layer is one of parts, and one of them is damaged, and still there. */
  async #isOfBadParts(diffId: DiffId): Promise<boolean> {
    const { blobs = [], patch } = (await this.#deps.layerIndex.get(diffId)) ?? {};
    const isBad = patch && [patch.base, patch.pieces].some(({ digest }) => this.#badBlobs.has(digest));
    if (!isBad || this.#repair) return false;
    for (const { digest } of blobs)
      if (!this.#badBlobs.has(digest) && (await this.#deps.blobs.has(digest))) return false;
    return true;
  }

  #damaged(subject: string, message: string, path: string): Promise<void> {
    return this.#report(subject, message, () => rm(path, { force: true, recursive: true }));
  }

  async #report(subject: string, message: string, repair: () => Promise<void>): Promise<void> {
    if (this.#repair) await repair();
    const next = this.#repair ? {} : { next: 'Run: tsbuild store verify --repair' };
    this.#problems.push({ subject, message, isRepaired: this.#repair, ...next });
  }
}

/** The manifests and configs that a record speaks of. */
function documentsOf(record: StoredRecord | undefined, records: ReadonlyMap<Digest, StoredRecord>): readonly Digest[] {
  if (!record) return [];
  if (!isIndexRecord(record)) return [record.manifest.digest, idOf(record)];
  const images = record.images.flatMap((digest) => records.get(digest) ?? []);
  return [...record.images, ...images.map(idOf)];
}

type RecordFile = Readonly<Record<string, unknown>>;

interface RecordKind {
  readonly directory: string;
  readonly what: string;
  /** Where a record of this content belongs; undefined: it is none. */
  readonly pathOf: (record: RecordFile) => string | undefined;
}

const recordKinds = (paths: StorePaths): readonly RecordKind[] => [
  {
    directory: paths.tags,
    what: 'record of a name',
    pathOf: (value) => place(parseTag(value), (tag) => tagPath(paths, tag.name)),
  },
  {
    directory: paths.images,
    what: 'record of an image',
    pathOf: (value) => place(parseStoredRecord(value), ({ manifest }) => imagePath(paths, manifest.digest)),
  },
  {
    directory: paths.origins,
    what: 'record of a layer in a registry',
    pathOf: (value) => place(parseOrigins(value), ({ descriptor }) => originPath(paths, descriptor.digest)),
  },
  {
    directory: paths.layerIndex,
    what: 'record of a layer',
    pathOf: (value) => place(parseLayerRecord(value), ({ diffId }) => layerIndexPath(paths, diffId)),
  },
  {
    directory: paths.cache,
    what: 'record of a step',
    pathOf: (value) => place(parseCacheRecord(value), ({ key }) => cachePath(paths, key)),
  },
  {
    directory: paths.slots,
    what: 'record of a step',
    pathOf: ({ slot }) => (typeof slot === 'string' ? slotPath(paths, slot) : undefined),
  },
];

const place = <T>(record: T | undefined, pathOf: (record: T) => string): string | undefined =>
  record === undefined ? undefined : pathOf(record);

/** The names of files and directories that are called by the hex of a diffID. */
const diffIdsIn = (names: readonly string[]): readonly DiffId[] =>
  names.filter((name) => /^[0-9a-f]{64}$/.test(name)).map((hex) => `sha256:${hex}` as string as DiffId); // the form was just checked
