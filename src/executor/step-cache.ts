import type { CacheMiss } from '../events.ts';
import { explainMiss, type Node } from '../graph/index.ts';
import type { CacheIndex, CacheKey, CacheRecord } from '../oci/index.ts';
import { changedFiles, describeChanges } from './source-files.ts';

/** Which records a build may use, beside what `--no-cache-filter` says of single stages (`Node.isFresh`). */
export interface CachePolicy {
  readonly noCache: boolean;
  /** Milliseconds: older records are as good as none. */
  readonly ttlMs?: number | undefined;
}

/** A key with what it is the hash of. */
export interface StepKey {
  readonly key: CacheKey;
  readonly preimage: string;
}

/** An event names no more. */
const MOST_FILES = 100;

/** The cache as one build sees it. */
export class StepCache {
  readonly #cache: CacheIndex;
  readonly #policy: CachePolicy;
  readonly #keeps: boolean;

  /** `keeps`: what came from elsewhere and is used is written down. */
  constructor(cache: CacheIndex, policy: CachePolicy, keeps: boolean) {
    this.#cache = cache;
    this.#policy = policy;
    this.#keeps = keeps;
  }

  isOff({ isFresh }: Node): boolean {
    return this.#policy.noCache || isFresh === true;
  }

  async lookup(node: Node, key: StepKey): Promise<CacheRecord | undefined> {
    if (this.isOff(node)) return undefined;
    const record = await this.#cache.lookup(key.key);
    if (!record || this.#isStale(record)) return undefined;
    const { source, ...kept } = record;
    if (source !== undefined && this.#keeps)
      await this.#cache.record({ ...kept, ...key, slot: node.slot }, { isLatest: true });
    return record;
  }

  /** Keeps a result under the keys; the first of them, that of the content, is what a later miss is compared with. */
  async record(result: Omit<CacheRecord, 'key' | 'preimage'>, keys: readonly [StepKey, ...StepKey[]]): Promise<void> {
    const [first] = keys;
    for (const key of keys) {
      const content = key === first ? {} : { contentKey: first.key };
      await this.#cache.record({ ...result, ...content, ...key }, { isLatest: key === first });
    }
  }

  /** The key of the layers for a result that is there by its content. */
  async alias(record: CacheRecord, key: StepKey): Promise<void> {
    const { source: _isKeptHere, ...kept } = record;
    await this.#cache.record({ ...kept, contentKey: record.key, ...key }, { isLatest: false });
  }

  /** `files`: what the step reads, a line each. */
  async explain(node: Node, { key, preimage }: StepKey, files?: readonly string[]): Promise<CacheMiss> {
    if (this.isOff(node)) {
      const option = this.#policy.noCache ? '--no-cache' : '--no-cache-filter';
      return { component: 'no-cache', reason: `${option} was given`, isExpected: true };
    }
    const stale = this.#policy.ttlMs === undefined ? undefined : await this.#cache.lookup(key);
    if (stale) return { component: 'ttl', reason: `its result of ${stale.created} is older than --cache-ttl allows` };
    const before = await this.#cache.latest(node.slot);
    if (!before) return { component: 'new', reason: 'nothing was built here before', isExpected: true };
    const changes = files && changedFiles(before.files, files);
    const found = explainMiss(before.preimage, preimage, changes && describeChanges(changes));
    return { ...found, ...(changes && found.component === 'sources' ? { files: changes.slice(0, MOST_FILES) } : {}) };
  }

  #isStale({ created }: CacheRecord): boolean {
    const { ttlMs } = this.#policy;
    return ttlMs !== undefined && !(Date.now() - Date.parse(created) < ttlMs);
  }
}
