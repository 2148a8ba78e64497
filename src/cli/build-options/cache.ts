import type { Command } from 'commander';
import { type CacheOptions, parseDuration } from '../../index.ts';
import { parseCacheSource, parseCacheTarget } from '../cache-spec.ts';
import { parseCsvRecord } from '../csv.ts';
import { usageError } from '../usage.ts';
import { collect } from '../values.ts';

export interface CacheFlags {
  readonly cache: boolean;
  /** commander takes the name for the opposite of `--cache-filter`, which is true. */
  readonly cacheFilter: true | readonly string[];
  readonly cacheTtl?: string;
  readonly explainCache?: boolean;
  readonly cacheFrom?: readonly string[];
  readonly cacheTo?: readonly string[];
}

export function addCacheOptions(command: Command): Command {
  return command
    .optionsGroup('Cache:')
    .option('--no-cache', 'run every step again')
    .option(
      '--no-cache-filter <stage,...>',
      'run the steps of these stages again, by name or number (repeatable)',
      (text: string, before: true | readonly string[]) => collect(text, before === true ? [] : before),
    )
    .option('--cache-ttl <duration>', 'use results that are younger only, e.g. 90m or 24h; 0: none')
    .option(
      '--cache-from <image>',
      'take results from this image too, if it was written with --cache-to; or type=registry,ref=NAME, or type=local,src=DIR (repeatable)',
      collect,
    )
    .option(
      '--cache-to <spec>',
      'type=inline: write down in the image what its layers were made from; NAME, type=registry,ref=NAME or type=local,dest=DIR: write a cache of its own; mode=max: with the steps of all stages (repeatable)',
      collect,
    )
    .option('--explain-cache', 'say of each step why it is cached or not, down to the file');
}

export function cacheOptions(flags: CacheFlags): CacheOptions {
  return {
    noCache: !flags.cache,
    noCacheFilter: flags.cacheFilter === true ? [] : flags.cacheFilter.flatMap(stagesOf),
    cacheTtlMs: ttlOf(flags.cacheTtl),
    cacheFrom: (flags.cacheFrom ?? []).map(parseCacheSource),
    cacheTo: (flags.cacheTo ?? []).map(parseCacheTarget),
  };
}

function stagesOf(text: string): readonly string[] {
  const stages = parseCsvRecord(text).map((stage) => stage.trim());
  if (stages.includes('')) throw usageError(`--no-cache-filter "${text}" has an empty name`, 'write STAGE[,STAGE...]');
  return stages;
}

function ttlOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const nanoseconds = parseDuration(text);
  if (nanoseconds === undefined || nanoseconds < 0)
    throw usageError(`--cache-ttl "${text}" is not a duration of at most 104 days`, 'e.g. 90m or 24h');
  return nanoseconds / 1e6;
}

/** An inline cache is an annotation, and speaks of the layers that the steps left. */
export function refuseInlineCache(
  { cacheTo = [] }: CacheOptions,
  { format, squash }: { readonly format: string; readonly squash?: boolean | undefined },
): void {
  if (!cacheTo.some(({ type }) => type === 'inline')) return;
  if (format === 'docker')
    throw usageError('Images of the Docker format have no room for a cache', 'use --format oci, or --cache-to NAME');
  if (squash) throw usageError('--squash leaves no layers for --cache-to type=inline', 'use --cache-to NAME');
}
