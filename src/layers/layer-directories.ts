import { closeSync, existsSync, openSync, readdirSync } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError, type ErrorCode, systemErrorCode } from '../errors.ts';
import {
  type ByteStream,
  chainIdOf,
  type DiffId,
  diffIdFrom,
  digestMismatch,
  hexOf,
  type Layer,
  type LayerFile,
  sha256,
} from '../oci/index.ts';
import { tarOfLayer } from './dir-tar.ts';
import { type LayerMeta, readMeta, writeMeta } from './layer-meta.ts';
import type { LayerWorkers, UnpackPlace } from './layer-workers.ts';
import { isOwnerGone, newOwnedName } from './owner.ts';
import type { Owners } from './ownership.ts';
import { isFromLostBoot, isUnsettled, markUnsettled } from './unsettled.ts';
import { explain } from './worker-errors.ts';

const KINDS = ['real', 'recorded'] as const satisfies readonly Owners[];
const LAYERS: Readonly<Record<Owners, string>> = { real: 'layers', recorded: 'layers-recorded' };
const CHAINS: Readonly<Record<Owners, string>> = { real: 'chains', recorded: 'chains-recorded' };

/** What damaged bytes can lead to. */
const WRONG_BYTES: ReadonlySet<ErrorCode> = new Set(['E_BAD_LAYER', 'E_DIGEST_MISMATCH']);

/** After which it is worth while to have new directories on the disk beside what runs: the end of a build would wait for it. */
const SETTLE_MS = 1000;

const HASH_BYTES = 1024 * 1024;

/** Bytes that are read sooner than a thread is started for them. */
const SMALL_TAR = 256 * 1024;

/**
 * The layers that lie unpacked in the state directory: `layers/HEX` by diffID, `chains/HEX` by chainID (what a chain needs beside its
 * layers), `active/` for what is being made. Everything is made in `active` and renamed when it is whole; where another
 * process was faster, its result is used. What a power cut may have damaged is as good as absent (`unsettled.ts`).
 */
export class LayerDirectories {
  readonly workers: LayerWorkers;
  readonly owners: Owners;
  readonly #root: string;
  readonly #running = new Map<string, Promise<string>>();
  readonly #unsettled = new Set<string>();

  /** `owners`: of what is made; directories of either kind lie apart. */
  constructor(root: string, workers: LayerWorkers, owners: Owners = 'real') {
    this.owners = owners;
    this.#root = root;
    this.workers = workers;
  }

  pathOf(diffId: DiffId): string {
    return this.#pathOf(diffId, this.owners);
  }

  #pathOf(diffId: DiffId, owners: Owners): string {
    return join(this.#root, LAYERS[owners], hexOf(diffId));
  }

  /** undefined: the layer is not unpacked. */
  lookup(diffId: DiffId): { readonly path: string; readonly meta: LayerMeta } | undefined {
    // whoever has sub-ids can read what was made without them; the other way round the files are somebody else's
    const kinds = this.owners === 'real' ? KINDS : (['recorded'] as const);
    const paths = kinds.map((kind) => this.#pathOf(diffId, kind));
    const path = paths.find((at) => existsSync(join(at, 'meta.json')) && !isFromLostBoot(at));
    return path === undefined ? undefined : { path, meta: readMeta(path) };
  }

  /** The directories of a chain, topmost first; those that are missing are unpacked in parallel. Hidden ones are left out. */
  async materialize(chain: readonly Layer[]): Promise<readonly string[]> {
    // the largest first: see LayerWorkers.placeFor
    const bySize = chain.toSorted((one, other) => other.descriptor.size - one.descriptor.size);
    await Promise.all(bySize.map((layer) => this.#apply(layer)));
    // Overlay refuses a directory twice; of equal layers (steps that change nothing give them) the topmost decides.
    const paths = [...new Set(chain.map(({ diffId }) => this.pathOf(diffId)).reverse())];
    this.#settleSoon(paths);
    const cut = paths.findIndex((path) => readMeta(path).opaqueRoot);
    return cut < 0 ? paths : paths.slice(0, cut + 1);
  }

  /** Copies a directory of a chain's root (`''` or relative, clean, no link in it) to `target`, where nothing is. */
  async copyTree(chain: readonly Layer[], top: string, target: string): Promise<void> {
    const layers = await this.materialize(chain);
    await this.workers.run<'copy'>({ kind: 'copy', layers, target, top, owners: this.owners });
  }

  /** Resolves when what steps left of these layers is on the disk; what was unpacked can be made again. */
  async settle(layers: readonly DiffId[]): Promise<void> {
    const found = layers.flatMap((diffId) => this.lookup(diffId) ?? []).filter(({ path }) => isUnsettled(path));
    const pathsOf = (wanted: LayerMeta['kind']) =>
      found.flatMap(({ path, meta }) => (meta.kind === wanted ? path : []));
    const [frozen, applied] = [pathsOf('frozen'), pathsOf('applied')];
    if (frozen.length > 0) await this.workers.run<'settle'>({ kind: 'settle', layers: frozen, others: applied });
  }

  /** Bytes on disk of a directory in the state directory. */
  measure(path: string): Promise<number> {
    return this.workers.run<'measure'>({ kind: 'measure', path });
  }

  /** What must be mounted on top of the chain's layers, if anything (see DirectoryChain.complete). */
  async completion(chain: readonly Layer[], layers: readonly string[]): Promise<string | undefined> {
    const chainId = chainIdOf(chain.map(({ diffId }) => diffId));
    const isWhole = layers.every((path) => {
      const { implicit, links } = readMeta(path);
      return implicit.length === 0 && links.length === 0;
    });
    if (chainId === undefined || isWhole) return undefined;
    const path = join(this.#root, CHAINS[this.owners], hexOf(chainId));
    await this.#once(path, async (target) => {
      await this.workers.run<'complete'>({
        kind: 'complete',
        layers,
        target: join(target, 'fs'),
        owners: this.owners,
      });
    });
    return existsSync(join(path, 'fs')) ? join(path, 'fs') : undefined;
  }

  /** The tar of a layer's directory. */
  async *tarOf(layer: string): ByteStream {
    if (readMeta(layer).tarSize > SMALL_TAR) yield* this.workers.stream({ kind: 'tar', layer });
    else yield* smallTar(layer);
  }

  /** A fresh directory of this process, for something to be made in. */
  async createActive(): Promise<string> {
    const path = join(this.#root, 'active', newOwnedName());
    await mkdir(path, { recursive: true, mode: 0o700 });
    return path;
  }

  /** Unpacks a layer once more, for whoever wants to compare; `remove` ends it. */
  async unpack(layer: Layer): Promise<string> {
    const directory = await this.createActive();
    try {
      await this.#unpackInto(directory, layer);
      return directory;
    } catch (error) {
      await this.remove([directory]);
      throw error;
    }
  }

  /** Keeps a finished `fs` and its meta as the layer's directory. */
  async keep(directory: string, diffId: DiffId, meta: LayerMeta): Promise<void> {
    writeMeta(directory, meta);
    await this.#publish(directory, this.pathOf(diffId));
  }

  async remove(paths: readonly string[]): Promise<void> {
    if (paths.length > 0) await this.workers.run<'remove'>({ kind: 'remove', paths });
  }

  /**
   * Removes an unpacked layer and returns the bytes that it held on disk; only measures them on a dry run. Files belong to sub-ids, so
   * this has to run inside the namespace. No process may have it mounted.
   */
  async removeLayer(diffId: DiffId, { dryRun }: { readonly dryRun: boolean }): Promise<number> {
    let bytes = 0;
    for (const owners of KINDS) {
      const path = this.#pathOf(diffId, owners);
      // files of sub-ids stay where this user has them no more
      if (!existsSync(path) || (owners === 'real' && this.owners === 'recorded')) continue;
      bytes += await this.measure(path);
      // Completions are small and made again when needed; nobody counts which chains the layer was part of.
      if (!dryRun) await this.remove([path, join(this.#root, CHAINS[owners])]);
    }
    return bytes;
  }

  /** All unpacked layers, as hex digits of their diffIDs. */
  async list(): Promise<readonly string[]> {
    const names = KINDS.map((owners) => namesIn(join(this.#root, LAYERS[owners])));
    return [...new Set(names.flat())].sort();
  }

  /** Removes what processes that are gone have left behind. Returns how many. Only inside the namespace. */
  async removeStale(): Promise<number> {
    const active = join(this.#root, 'active');
    const stale = namesIn(active)
      .filter(isOwnerGone)
      .map((name) => join(active, name));
    await this.remove(stale);
    return stale.length;
  }

  async #apply(layer: Layer): Promise<string> {
    return this.#once(this.pathOf(layer.diffId), (directory) => this.#unpackInto(directory, layer));
  }

  async #unpackInto(directory: string, layer: Layer): Promise<void> {
    const meta = await this.#fill(join(directory, 'fs'), layer);
    writeMeta(directory, { kind: 'applied', ...meta, ...(this.owners === 'recorded' ? { owners: this.owners } : {}) });
  }

  /** Nothing else than the layer's own tar makes it to the end. */
  async #fill(fs: string, layer: Layer): Promise<Omit<LayerMeta, 'kind'>> {
    const into = { directory: fs, owners: this.owners };
    using place = layer.file && (await this.workers.placeFor(layer.descriptor.size));
    for (let file = await layer.file?.(); place && file; file = await layer.file?.()) {
      await mkdir(fs, { mode: 0o755 });
      const unpacked = await this.#unpackFile({ ...into, file, place }, layer.diffId);
      if (unpacked) return unpacked;
      await this.remove([fs]);
    }
    await mkdir(fs, { mode: 0o755 });
    return this.workers.feed({ kind: 'apply', ...into }, layer.uncompressed());
  }

  /** undefined: the file did not become what it was meant to be; there is another one. */
  async #unpackFile(
    { file, place, ...into }: UnpackingFile,
    expected: DiffId,
  ): Promise<Omit<LayerMeta, 'kind'> | undefined> {
    const { compression, growth } = file;
    // it may get its name in the store before a thread is free
    const fd = openUnlessMoved(file);
    if (fd === undefined) return undefined;
    try {
      const opened = { path: `/proc/self/fd/${fd}`, compression };
      // a whole plain tar can be hashed by this thread, beside the one that writes
      const isHashedElsewhere = compression === 'none' && !growth;
      const unpacking = place.follow({ kind: 'unpack', ...into, file: opened, isHashedElsewhere }, growth);
      const hashing = isHashedElsewhere ? diffIdOf(opened.path) : undefined;
      await Promise.allSettled([unpacking, hashing]); // whichever fails: nobody works on the directory after we return
      const unpacked = await unpacking;
      const hashed = await hashing;
      if (!unpacked) return undefined;
      const { diffId = hashed, ...meta } = unpacked;
      if (diffId !== expected) throw digestMismatch('layer (uncompressed)', expected, String(diffId));
      return meta;
    } catch (error) {
      if (!(error instanceof BuildError && WRONG_BYTES.has(error.code))) throw error;
      if (!growth) await file.check();
      // who brings the bytes knows at their end whether they are the wrong ones
      else if ((await growth.whole) === 'elsewhere') return undefined;
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  /** Best effort: another build may do it, or they are made again after a power cut. */
  #settleSoon(paths: readonly string[]): void {
    const isFirst = this.#unsettled.size === 0;
    for (const path of paths) if (isUnsettled(path)) this.#unsettled.add(path);
    if (!isFirst || this.#unsettled.size === 0) return;
    const run = (): void => {
      const others = [...this.#unsettled];
      this.#unsettled.clear();
      this.workers.run<'settle'>({ kind: 'settle', layers: [], others }).catch(() => undefined); // see above
    };
    setTimeout(run, SETTLE_MS).unref();
  }

  /** Makes the directory `path` unless it is there; at the same time only once in this process. */
  async #once(path: string, make: (directory: string) => Promise<void>): Promise<string> {
    if (existsSync(path) && !isFromLostBoot(path)) return path;
    const running = this.#running.get(path) ?? this.#make(path, make).finally(() => this.#running.delete(path));
    this.#running.set(path, running);
    return running;
  }

  async #make(path: string, make: (directory: string) => Promise<void>): Promise<string> {
    const directory = await this.createActive();
    try {
      await make(directory);
      await this.#publish(directory, path);
      return path;
    } catch (error) {
      await this.remove([directory]);
      throw error;
    }
  }

  async #publish(directory: string, path: string): Promise<void> {
    await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
    markUnsettled(directory);
    if (isFromLostBoot(path)) await this.#removeLost(path);
    if (await renameUnlessThere(directory, path)) return;
    await this.remove([directory]);
  }

  /** Moved away first and looked at again: another process may have put a new one there. */
  async #removeLost(path: string): Promise<void> {
    const away = await this.createActive();
    const moved = join(away, 'lost');
    await rename(path, moved).catch((error: unknown) => {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
    });
    if (existsSync(moved) && !isFromLostBoot(moved)) await renameUnlessThere(moved, path);
    await this.remove([away]);
  }
}

/** false: something has the name. */
async function renameUnlessThere(directory: string, path: string): Promise<boolean> {
  try {
    await rename(directory, path);
    return true;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    return false;
  }
}

interface UnpackingFile {
  readonly directory: string;
  readonly owners: Owners;
  readonly file: LayerFile;
  readonly place: UnpackPlace;
}

async function diffIdOf(tar: string): Promise<DiffId> {
  const hash = sha256();
  const chunk = Buffer.allocUnsafeSlow(HASH_BYTES);
  const file = await open(tar);
  try {
    for (let bytes = -1; bytes !== 0; ) {
      bytes = (await file.read(chunk, 0, HASH_BYTES)).bytesRead;
      hash.update(chunk.subarray(0, bytes));
    }
  } finally {
    await file.close();
  }
  return diffIdFrom(hash);
}

function openUnlessMoved({ path, growth }: LayerFile): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (growth && systemErrorCode(error) === 'ENOENT') return undefined;
    throw explain('unpack', error);
  }
}

function* smallTar(layer: string): Generator<Uint8Array> {
  try {
    yield* tarOfLayer(layer);
  } catch (error) {
    throw explain('tar', error);
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
