/** Steps wait for disks and networks more than for processors: so many run at once at the least. */
const MIN_JOBS = 4;
/** What a compiler or package manager takes before it is too much; our own part of a step is small beside it. */
const BYTES_PER_STEP = 512 * 1024 * 1024;

export interface Machine {
  readonly processors: number;
  /** Of the machine, or what the cgroup leaves of it, if that is less. */
  readonly memoryBytes: number;
}

/** How many steps run at once where `--jobs` says nothing: by processors, but no more than memory allows; at least one. */
export function defaultJobs({ processors, memoryBytes }: Machine): number {
  return Math.max(1, Math.min(Math.max(MIN_JOBS, processors), Math.floor(memoryBytes / BYTES_PER_STEP)));
}

/** As the kernel limits this process: `constrained` is the cgroup's limit, 0 or huge where there is none. */
export const usableMemory = (total: number, constrained: number): number =>
  constrained > 0 ? Math.min(total, constrained) : total;
