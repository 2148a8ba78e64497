import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BuildError, systemErrorCode } from '../../errors.ts';

/** What all processes of a step may use together; what is absent is not limited. */
export interface ResourceLimits {
  readonly memoryBytes?: number | undefined;
  /** Memory and swap together, as in docker; -1: no limit of swap. Default: twice the memory. */
  readonly memorySwapBytes?: number | undefined;
  /** 2 to 262144; 1024 is an equal part. */
  readonly cpuShares?: number | undefined;
  /** Microseconds. */
  readonly cpuPeriod?: number | undefined;
  /** Microseconds in each period. */
  readonly cpuQuota?: number | undefined;
  readonly cpusetCpus?: string | undefined;
  readonly cpusetMems?: string | undefined;
  readonly pids?: number | undefined;
  /** Path of a cgroup, from the root of the hierarchy, that steps are put in. */
  readonly parent?: string | undefined;
}

/** The names of the options, for errors. */
const OPTIONS: Readonly<Record<keyof ResourceLimits, string>> = {
  memoryBytes: '--memory',
  memorySwapBytes: '--memory-swap',
  cpuShares: '--cpu-shares',
  cpuPeriod: '--cpu-period',
  cpuQuota: '--cpu-quota',
  cpusetCpus: '--cpuset-cpus',
  cpusetMems: '--cpuset-mems',
  pids: '--pids-limit',
  parent: '--cgroup-parent',
};

/** The first option that asks for a limit; undefined: there is none. */
export const limitOption = (limits: ResourceLimits): string | undefined =>
  Object.entries(OPTIONS).find(([key]) => limits[key as keyof ResourceLimits] !== undefined)?.[1]; // OPTIONS has all keys

/** Where the kernel tells about cgroups; another one for tests. */
export interface CgroupPlace {
  /** The mount of cgroup v2. */
  readonly mount: string;
  /** This process's own group, from the mount's root. */
  readonly own: string;
}

interface Refusal {
  readonly reason: string;
  readonly hint: string;
}

const SCOPE = 'systemd-run --user --scope -p Delegate=yes tsbuild build ...';

/** This process's place in the one hierarchy of cgroup v2 (cgroups(7)). */
export function findPlace(proc = '/proc/self'): CgroupPlace | Refusal {
  const mounts = readFileSync(`${proc}/mountinfo`, 'utf8').split('\n');
  const mount = mounts.find((line) => / - cgroup2 /.test(line))?.split(' ')[4];
  const own = /^0::(.*)$/m.exec(readFileSync(`${proc}/cgroup`, 'utf8'))?.[1];
  if (mount !== undefined && own !== undefined) return { mount, own };
  return {
    reason: 'this machine has no cgroup v2',
    hint: 'Boot it with systemd.unified_cgroup_hierarchy=1, or limit the whole build from outside',
  };
}

const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8').trim() : '');
const controllersIn = (path: string): readonly string[] => read(path).split(/\s+/).filter(Boolean);

/** What is written into a step's group: file, value (Documentation/admin-guide/cgroup-v2.rst of the kernel). */
export function settingsOf(limits: ResourceLimits): readonly (readonly [file: string, value: string])[] {
  const { memoryBytes, memorySwapBytes, cpuShares, cpuQuota, cpuPeriod, cpusetCpus, cpusetMems, pids } = limits;
  const swap = memorySwapBytes === -1 ? 'max' : (memorySwapBytes ?? 2 * (memoryBytes ?? 0)) - (memoryBytes ?? 0);
  const all: readonly (readonly [string, string | number | undefined])[] = [
    ['memory.max', memoryBytes],
    ['memory.swap.max', memoryBytes === undefined ? undefined : swap],
    // the weights of v1, 2 to 262144, become 1 to 10000, as in runc and crun
    ['cpu.weight', cpuShares === undefined ? undefined : 1 + Math.floor(((cpuShares - 2) * 9999) / 262142)],
    ['cpu.max', (cpuQuota ?? cpuPeriod) ? `${cpuQuota ?? 'max'} ${cpuPeriod ?? 100_000}` : undefined],
    ['cpuset.cpus', cpusetCpus],
    ['cpuset.mems', cpusetMems],
    ['pids.max', pids],
  ];
  return all.flatMap(([file, value]) => (value === undefined ? [] : [[file, String(value)] as const]));
}

const controllersOf = (limits: ResourceLimits): readonly string[] => [
  ...new Set(settingsOf(limits).map(([file]) => file.slice(0, file.indexOf('.')))),
];

/**
 * The group that steps get theirs in: `--cgroup-parent`, else the one around this process's own, else its own, whose
 * processes are moved into a leaf (a group with limited children may hold no process itself). Says why there is none.
 */
export function openParent(limits: ResourceLimits, place: CgroupPlace | Refusal = findPlace()): string | Refusal {
  if ('reason' in place) return place;
  const own = join(place.mount, place.own);
  const around = place.own === '/' ? [] : [dirname(own)];
  const candidates = limits.parent === undefined ? [...around, own] : [join(place.mount, join('/', limits.parent))];
  const refusals: Refusal[] = [];
  for (const directory of candidates) {
    const refusal = openCandidate(directory, { needed: controllersOf(limits), isOwn: directory === own });
    if (refusal === undefined) return directory;
    refusals.push(refusal);
  }
  return refusals[0] ?? { reason: 'there is no cgroup', hint: `Run it in one: ${SCOPE}` };
}

interface Candidate {
  readonly needed: readonly string[];
  readonly isOwn: boolean;
}

function openCandidate(directory: string, { needed, isOwn }: Candidate): Refusal | undefined {
  try {
    if (!existsSync(directory)) mkdirSync(directory);
    for (const name of ['cgroup.procs', 'cgroup.subtree_control']) accessSync(`${directory}/${name}`, constants.W_OK);
    const missing = needed.find((name) => !controllersIn(`${directory}/cgroup.controllers`).includes(name));
    if (missing !== undefined) return missingController(directory, missing);
    const enabled = controllersIn(`${directory}/cgroup.subtree_control`);
    const wanted = needed.filter((name) => !enabled.includes(name));
    if (wanted.length === 0) return undefined;
    if (isOwn) evacuate(directory);
    writeFileSync(`${directory}/cgroup.subtree_control`, wanted.map((name) => `+${name}`).join(' '));
    return undefined;
  } catch (error) {
    const code = systemErrorCode(error) ?? String(error);
    return {
      reason: `the cgroup ${directory} is not delegated to this user (${code})`,
      hint: `Run it in one: ${SCOPE}`,
    };
  }
}

const missingController = (directory: string, name: string): Refusal => ({
  reason: `the cgroup ${directory} has no "${name}" controller`,
  hint: `Delegate it (systemd: Delegate=${name}), or boot without cgroup v1: systemd.unified_cgroup_hierarchy=1`,
});

/** The leaf has no limit of its own: for who is moved, nothing changes. */
function evacuate(directory: string): void {
  const leaf = `${directory}/tsbuild-builder`;
  if (!existsSync(leaf)) mkdirSync(leaf);
  for (const pid of controllersIn(`${directory}/cgroup.procs`)) moveTo(leaf, Number(pid));
}

function moveTo(directory: string, pid: number): void {
  try {
    writeFileSync(`${directory}/cgroup.procs`, String(pid));
  } catch (error) {
    if (systemErrorCode(error) !== 'ESRCH') throw error; // it has ended meanwhile
  }
}

let count = 0;

/** The group of one step. */
export class StepCgroup {
  readonly #directory: string;
  readonly #limits: ResourceLimits;

  /** Throws `E_SANDBOX` with the cause and what to do. */
  constructor(limits: ResourceLimits, place?: CgroupPlace) {
    const parent = openParent(limits, place);
    if (typeof parent !== 'string') throw refusedLimit(limits, parent);
    this.#limits = limits;
    this.#directory = `${parent}/tsbuild-${process.pid}-${count++}`;
    mkdirSync(this.#directory);
    for (const [file, value] of settingsOf(limits)) this.#write(file, value);
  }

  /** The process, its threads and whatever it starts from now on. What it has used so far does not count. */
  add(pid: number): void {
    this.#write('cgroup.procs', String(pid));
    const { pids } = this.#limits;
    // its own threads are none of the step's processes
    if (pids !== undefined) this.#write('pids.max', String(pids + Number(read(`${this.#directory}/pids.current`))));
  }

  /** Kills what is left in it, and removes it. */
  async remove(): Promise<void> {
    if (existsSync(`${this.#directory}/cgroup.kill`)) this.#write('cgroup.kill', '1');
    for (let attempt = 0; attempt < 50; attempt++) {
      try {
        return rmdirSync(this.#directory);
      } catch (error) {
        if (systemErrorCode(error) !== 'EBUSY') throw error;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  #write(file: string, value: string): void {
    try {
      writeFileSync(`${this.#directory}/${file}`, value);
    } catch (cause) {
      throw refusedLimit(this.#limits, {
        reason: `the kernel refuses "${value}" for ${file} (${systemErrorCode(cause) ?? 'error'})`,
        hint: 'Choose another value',
      });
    }
  }
}

/** Why these limits cannot be kept here; undefined: they can. */
export function limitRefusal(limits: ResourceLimits, place?: CgroupPlace): BuildError | undefined {
  if (limitOption(limits) === undefined) return undefined;
  const parent = openParent(limits, place);
  return typeof parent === 'string' ? undefined : refusedLimit(limits, parent);
}

const refusedLimit = (limits: ResourceLimits, { reason, hint }: Refusal): BuildError =>
  new BuildError('E_SANDBOX', `Cannot keep ${limitOption(limits) ?? 'limits'}: ${reason}`, { hint });
