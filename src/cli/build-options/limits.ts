import type { Command } from 'commander';
import type { ResourceLimits } from '../../index.ts';
import { parseSize } from '../sandbox-values.ts';
import { usageError } from '../usage.ts';

/** Limits of cgroups. */
export interface LimitFlags {
  readonly memory?: string;
  readonly memorySwap?: string;
  readonly cpuShares?: string;
  readonly cpuPeriod?: string;
  readonly cpuQuota?: string;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly pidsLimit?: string;
  readonly cpus?: string;
  readonly cgroupParent?: string;
}

export function addLimitOptions(command: Command): Command {
  return command
    .optionsGroup('Limits of each RUN (where cgroup v2 is delegated, else an error):')
    .option('-m, --memory <size>', 'bytes, or with k, m or g')
    .option('--memory-swap <size>', 'with swap; -1: unlimited')
    .option('-c, --cpu-shares <number>', 'relative weight')
    .option('--cpus <number>', 'processors, e.g. 1.5')
    .option('--cpu-period <microseconds>', 'of the scheduler')
    .option('--cpu-quota <microseconds>', 'in each period')
    .option('--cpuset-cpus <list>', 'processors, e.g. 0-3,7')
    .option('--cpuset-mems <list>', 'memory nodes')
    .option('--pids-limit <number>', 'processes and threads; -1: unlimited')
    .option('--cgroup-parent <path>', 'cgroup that steps are in');
}

/** 0 asks for no limit, and so does -1 for what is unlimited then; undefined: no limit is asked for. */
export function limitsOf(flags: LimitFlags): ResourceLimits | undefined {
  if (flags.cpus !== undefined && (flags.cpuQuota ?? flags.cpuPeriod) !== undefined)
    throw usageError('--cpus and --cpu-quota or --cpu-period exclude each other');
  const asked: ResourceLimits = {
    memoryBytes: size('--memory', flags.memory),
    memorySwapBytes: flags.memorySwap === '-1' ? -1 : size('--memory-swap', flags.memorySwap),
    cpuShares: number('--cpu-shares', flags.cpuShares),
    cpuPeriod: flags.cpus === undefined ? number('--cpu-period', flags.cpuPeriod) : undefined,
    cpuQuota: flags.cpus === undefined ? quota(flags.cpuQuota) : processors(flags.cpus),
    cpusetCpus: list('--cpuset-cpus', flags.cpusetCpus),
    cpusetMems: list('--cpuset-mems', flags.cpusetMems),
    pids: flags.pidsLimit === '-1' ? undefined : number('--pids-limit', flags.pidsLimit),
    parent: flags.cgroupParent || undefined,
  };
  if (
    (asked.memorySwapBytes ?? -1) !== -1 &&
    (asked.memorySwapBytes ?? 0) < (asked.memoryBytes ?? Number.POSITIVE_INFINITY)
  )
    throw usageError('--memory-swap is memory and swap together', 'give --memory, and at least as much as it');
  const entries = Object.entries(asked).filter(([, value]) => value !== undefined);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

const size = (option: string, text: string | undefined): number | undefined =>
  text === undefined ? undefined : parseSize(option, text) || undefined;

function number(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,12}$/.test(text)) throw usageError(`${option} "${text}" is not a whole number`);
  return Number(text) || undefined;
}

const quota = (text: string | undefined): number | undefined =>
  text === '-1' ? undefined : number('--cpu-quota', text);

/** In microseconds of a tenth of a second, which is the kernel's period. */
function processors(text: string): number | undefined {
  if (!/^\d+(\.\d+)?$/.test(text)) throw usageError(`--cpus "${text}" is not a number`, 'e.g. 1.5');
  return Math.round(Number(text) * 100_000) || undefined;
}

function list(option: string, text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)) return text;
  throw usageError(`${option} "${text}" is not a list of numbers and ranges`, 'e.g. 0-3,7');
}
