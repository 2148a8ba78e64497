import type { Command } from 'commander';
import { parseSize } from '../sandbox-values.ts';
import { usageError } from '../usage.ts';

/** Limits of cgroups: understood, and refused where a RUN would run without them. */
export interface LimitFlags {
  readonly memory?: string;
  readonly memorySwap?: string;
  readonly cpuShares?: string;
  readonly cpuPeriod?: string;
  readonly cpuQuota?: string;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly cgroupParent?: string;
}

export function addLimitOptions(command: Command): Command {
  return command
    .optionsGroup('Limits of RUN that cannot be set yet (an error where a RUN has to run):')
    .option('-m, --memory <size>', 'bytes, or with k, m or g')
    .option('--memory-swap <size>', 'with swap; -1: unlimited')
    .option('-c, --cpu-shares <number>', 'relative weight')
    .option('--cpu-period <microseconds>', 'of the scheduler')
    .option('--cpu-quota <microseconds>', 'in each period')
    .option('--cpuset-cpus <list>', 'processors, e.g. 0-3,7')
    .option('--cpuset-mems <list>', 'memory nodes')
    .option('--cgroup-parent <path>', 'cgroup that steps are in');
}

/** The options that ask for a limit; 0 (and -1 for what is unlimited then) asks for none. */
export function limitsOf(flags: LimitFlags): readonly string[] {
  const asked: readonly (readonly [string, boolean])[] = [
    ['--memory', isSize('--memory', flags.memory)],
    ['--memory-swap', flags.memorySwap !== '-1' && isSize('--memory-swap', flags.memorySwap)],
    ['--cpu-shares', isNumber('--cpu-shares', flags.cpuShares)],
    ['--cpu-period', isNumber('--cpu-period', flags.cpuPeriod)],
    ['--cpu-quota', flags.cpuQuota !== '-1' && isNumber('--cpu-quota', flags.cpuQuota)],
    ['--cpuset-cpus', isList('--cpuset-cpus', flags.cpusetCpus)],
    ['--cpuset-mems', isList('--cpuset-mems', flags.cpusetMems)],
    ['--cgroup-parent', flags.cgroupParent !== undefined && flags.cgroupParent !== ''],
  ];
  return asked.flatMap(([option, isAsked]) => (isAsked ? [option] : []));
}

const isSize = (option: string, text: string | undefined): boolean => text !== undefined && parseSize(option, text) > 0;

function isNumber(option: string, text: string | undefined): boolean {
  if (text === undefined) return false;
  if (!/^\d{1,12}$/.test(text)) throw usageError(`${option} "${text}" is not a whole number`);
  return Number(text) > 0;
}

function isList(option: string, text: string | undefined): boolean {
  if (text === undefined || text === '') return false;
  if (/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)) return true;
  throw usageError(`${option} "${text}" is not a list of numbers and ranges`, 'e.g. 0-3,7');
}
