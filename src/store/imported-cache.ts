import type { CacheIndex, CacheKey, CacheRecord, CarriedRecord, LayerSource } from '../oci/index.ts';

/** What an image from elsewhere says about steps. */
export interface CarriedCache {
  /** The image, as the user calls it. */
  readonly source: string;
  readonly records: readonly CarriedRecord[];
}

/**
 * The cache of the store, and behind it what `--cache-from` names. A record from elsewhere is kept only when a step of this
 * build has its key: nobody who writes images can put records under other builds.
 */
export class ImportedCache implements CacheIndex {
  readonly #own: CacheIndex;
  readonly #layers: LayerSource;
  readonly #foreign = new Map<CacheKey, CacheRecord>();

  constructor(own: CacheIndex, layers: LayerSource, caches: readonly CarriedCache[]) {
    this.#own = own;
    this.#layers = layers;
    for (const { source, records } of caches.toReversed()) {
      for (const record of records) this.#foreign.set(record.key, { ...record, source, preimage: '', slot: '' });
    }
  }

  async lookup(key: CacheKey): Promise<CacheRecord | undefined> {
    const own = await this.#own.lookup(key);
    if (own) return own;
    const record = this.#foreign.get(key);
    if (!record?.layer) return record;
    return (await this.#layers.find(record.layer.diffId)) ? record : undefined;
  }

  record(record: CacheRecord, options: { readonly isLatest: boolean }): Promise<void> {
    return this.#own.record(record, options);
  }

  latest(slot: string): Promise<CacheRecord | undefined> {
    return this.#own.latest(slot);
  }
}
