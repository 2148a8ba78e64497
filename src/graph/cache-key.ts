import {
  type CacheKey,
  type ChainId,
  cacheKeyFrom,
  canonicalJson,
  formatPlatform,
  type Json,
  type MtimeRule,
  type Platform,
} from '../oci/index.ts';
import { definitionOf } from './nodes.ts';
import type { Op, RunMount, RunOp } from './op.ts';

/** What a step's result depends on besides its op. */
export interface CacheInputs {
  readonly platform: Platform;
  /** The layers that the step works on; null: none (`scratch`). */
  readonly parent: ChainId | null;
  /**
   * COPY and ADD: digest over the selected source files, as the executor read them: names, owners, modes, bytes. RUN: the
   * layers that its mounts show.
   */
  readonly sources?: string;
  /** RUN: what the command line says of its sandbox; absent: nothing. */
  readonly sandbox?: Json | undefined;
  /** Another value gives other bytes. */
  readonly mtimeRule?: MtimeRule | undefined;
}

/** Sorts before every other member. A change of meaning takes a new number: old records then miss. */
export const SCHEMA = { $schema: 'tsbuild/step/1' } as const;

/** Env as the process sees it: one value a name, order of no importance; proxies left out. */
function runDefinition({ proxyEnv: _notPartOfTheKey, ...op }: RunOp): Json {
  const env = Object.fromEntries(op.env);
  return { ...op, env, mounts: op.mounts.map(mountDefinition) } as unknown as Json; // an op is plain data
}

/** What a mount is and where; not which cache, whose agent, whether one had to be there (BuildKit does the same). */
function mountDefinition({ range: _place, ...mount }: RunMount): Json {
  switch (mount.type) {
    case 'bind':
    case 'tmpfs':
      return mount as unknown as Json; // as above
    case 'cache': {
      const { id: _id, sharing: _sharing, ...rest } = mount;
      return rest as unknown as Json; // as above
    }
    case 'secret': {
      const { required: _required, ...rest } = mount;
      return rest as unknown as Json; // as above
    }
    case 'ssh':
      return { type: mount.type, target: mount.target };
    default:
      return mount satisfies never;
  }
}

/** Two members, so that the keys of SOURCE_DATE_EPOCH stay what they were. */
function ruleMember(rule: MtimeRule | undefined): { readonly [name: string]: number } {
  if (rule === undefined) return {};
  return rule.applies === 'later' ? { clampMtime: rule.seconds } : { setMtime: rule.seconds };
}

/**
 * The key of a step's result, and the canonical JSON that it is the hash of (kept, to explain a later miss). Covers every
 * field of the op but proxy variables and source positions.
 */
export function cacheKey(op: Op, inputs: CacheInputs): { readonly key: CacheKey; readonly preimage: string } {
  const preimage = canonicalJson({
    ...SCHEMA,
    op: op.kind === 'run' ? runDefinition(op) : definitionOf(op),
    platform: formatPlatform(inputs.platform),
    osVersion: inputs.platform['os.version'],
    parent: inputs.parent,
    sources: inputs.sources,
    sandbox: inputs.sandbox,
    ...ruleMember(inputs.mtimeRule),
  });
  return { key: cacheKeyFrom(preimage), preimage };
}
