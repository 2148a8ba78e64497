import type { Command } from 'commander';
import { type CacheOptions, parseDuration } from '../../index.ts';
import { parseCsvRecord } from '../csv.ts';
import { usageError } from '../usage.ts';
import { collect } from '../values.ts';

export interface CacheFlags {
  readonly cache: boolean;
  /** commander takes the name for the opposite of `--cache-filter`, which is true. */
  readonly cacheFilter: true | readonly string[];
  readonly cacheTtl?: string;
  readonly explainCache?: boolean;
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
    .option('--explain-cache', 'say of each step why it is cached or not, down to the file');
}

export function cacheOptions(flags: CacheFlags): CacheOptions {
  return {
    noCache: !flags.cache,
    noCacheFilter: flags.cacheFilter === true ? [] : flags.cacheFilter.flatMap(stagesOf),
    cacheTtlMs: ttlOf(flags.cacheTtl),
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
