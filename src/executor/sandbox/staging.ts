import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { cloneTree, detach, MS, mount, moveMount, setReadOnly } from './syscalls.ts';

/**
 * Everything is put together in a tmpfs over /sys: that directory is always there, and the thread has its mount namespace
 * for itself. Nothing in it comes from the root, so plain paths are safe here.
 */
export const STAGING = '/sys';
export const STAGED = {
  root: `${STAGING}/root`,
  files: `${STAGING}/files`,
  links: `${STAGING}/lower`,
  mounts: `${STAGING}/mounts`,
  proc: `${STAGING}/proc`,
  sys: `${STAGING}/tree`,
  dev: `${STAGING}/dev`,
} as const;

/** The lists of Docker 28 (containerfile-reference 6.1). */
export const MASKED_PROC = [
  'acpi',
  'asound',
  'interrupts',
  'kcore',
  'keys',
  'latency_stats',
  'sched_debug',
  'scsi',
  'timer_list',
  'timer_stats',
];
export const READ_ONLY_PROC = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'];
export const MASKED_SYS = ['firmware', 'devices/virtual/powercap', 'fs/selinux'];
const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];
const DEVICE_LINKS = {
  fd: '/proc/self/fd',
  stdin: '/proc/self/fd/0',
  stdout: '/proc/self/fd/1',
  stderr: '/proc/self/fd/2',
  ptmx: 'pts/ptmx',
} as const;

interface KernelTrees {
  /** `container`: a copy of the mounts of the calling thread's /proc. */
  readonly proc: 'own' | 'container';
  readonly hasOwnNetwork: boolean;
  readonly shmSizeBytes?: number | undefined;
}

/** Puts /proc, /sys and /dev of a step under `STAGED`; /proc of the calling thread is that of the step before, and the host's after. */
export function stageKernelTrees({ proc, hasOwnNetwork, shmSizeBytes = SHM_BYTES }: KernelTrees): void {
  const devices = DEVICES.filter((name) => existsSync(`/dev/${name}`)).map((name) => ({
    name,
    fd: cloneTree(`/dev/${name}`),
  }));
  const isUnified = hasUnifiedCgroups();
  // A sysfs shows the devices of one network namespace, so it has to be mounted in it.
  if (hasOwnNetwork) mountOwnSysfs(proc);
  const sys = cloneTree('/sys');
  mount({ source: 'tmpfs', target: STAGING, type: 'tmpfs', data: 'mode=755' });
  for (const path of [STAGED.proc, STAGED.sys, STAGED.dev]) mkdirSync(path);
  if (proc === 'own') moveMount('/proc', STAGED.proc);
  else place(cloneTree('/proc'), STAGED.proc);
  place(sys, STAGED.sys);
  stageDevices(devices, shmSizeBytes);
  restrictProc();
  [...MASKED_SYS, ...thermalThrottles()].map((name) => `${STAGED.sys}/${name}`).forEach(mask);
  stageCgroups(isUnified);
  setReadOnly(STAGED.sys);
}

/**
 * For a step whose /proc and /dev an OCI runtime makes: puts the new /proc aside, in which this process does not appear, and
 * a read-only /sys into `STAGED`, because what runtimes make of it is read-only at its top only.
 */
export function stageForRuntime(hasOwnNetwork: boolean): void {
  if (hasOwnNetwork) mountOwnSysfs('own');
  const sys = cloneTree('/sys');
  setReadOnly(sys);
  if (hasOwnNetwork) detach('/sys'); // the runtime looks for its cgroups in the host's
  // where it can make no group, the step stays in that of the build, and none is left behind
  if (existsSync('/sys/fs/cgroup')) setReadOnly('/sys/fs/cgroup');
  mount({ source: 'tmpfs', target: STAGING, type: 'tmpfs', data: 'mode=755' });
  mkdirSync(STAGED.proc);
  moveMount('/proc', STAGED.proc);
  mkdirSync(STAGED.sys);
  place(sys, STAGED.sys);
}

/** Where parts of /proc are covered, parts of /sys are too, and the kernel shows neither anew: then the old one stays. */
function mountOwnSysfs(proc: KernelTrees['proc']): void {
  try {
    mount({ source: 'sysfs', target: '/sys', type: 'sysfs', flags: SAFE });
  } catch (error) {
    if (proc === 'own') throw error;
  }
}

/** linux/magic.h */
const CGROUP2_SUPER_MAGIC = 0x63677270;

const hasUnifiedCgroups = (): boolean =>
  existsSync('/sys/fs/cgroup') && statfsSync('/sys/fs/cgroup').type === CGROUP2_SUPER_MAGIC;

/** They tell other containers' load. */
function thermalThrottles(): readonly string[] {
  const cpus = 'devices/system/cpu';
  if (!existsSync(`${STAGED.sys}/${cpus}`)) return [];
  const names = readdirSync(`${STAGED.sys}/${cpus}`).filter((name) => /^cpu\d+$/.test(name));
  return names.map((name) => `${cpus}/${name}/thermal_throttle`);
}

/** Programs look up their limits here: they see the build's own group, where there is one hierarchy, and otherwise nothing. */
function stageCgroups(isUnified: boolean): void {
  const target = `${STAGED.sys}/fs/cgroup`;
  if (!existsSync(target)) return;
  try {
    if (!isUnified) return mask(target);
    mount({ source: 'cgroup', target, type: 'cgroup2', flags: SAFE | MS.readOnly });
  } catch {
    mask(target);
  }
}

/** Docker's and BuildKit's. */
export const SHM_BYTES = 64 * 1024 * 1024;

const SAFE = MS.noSuid | MS.noDev | MS.noExec;

interface Device {
  readonly name: string;
  readonly fd: number;
}

function stageDevices(devices: readonly Device[], shmSizeBytes: number): void {
  const { dev } = STAGED;
  mount({ source: 'tmpfs', target: dev, type: 'tmpfs', flags: MS.noSuid, data: 'mode=755,size=64k' });
  for (const { name, fd } of devices) {
    writeFileSync(`${dev}/${name}`, '');
    place(fd, `${dev}/${name}`);
  }
  for (const [name, target] of Object.entries(DEVICE_LINKS)) symlinkSync(target, `${dev}/${name}`);
  for (const name of ['pts', 'shm', 'mqueue']) mkdirSync(`${dev}/${name}`);
  const flags = MS.noSuid | MS.noExec;
  mount({ source: 'devpts', target: `${dev}/pts`, type: 'devpts', flags, data: 'newinstance,ptmxmode=0666,mode=0620' });
  mount({ source: 'shm', target: `${dev}/shm`, type: 'tmpfs', flags: SAFE, data: `mode=1777,size=${shmSizeBytes}` });
  mount({ source: 'mqueue', target: `${dev}/mqueue`, type: 'mqueue', flags: SAFE });
  chmodSync(dev, 0o755);
}

function restrictProc(): void {
  MASKED_PROC.map((name) => `${STAGED.proc}/${name}`).forEach(mask);
  for (const name of READ_ONLY_PROC) {
    const path = `${STAGED.proc}/${name}`;
    if (!existsSync(path)) continue;
    mount({ source: path, target: path, flags: MS.bind | MS.recursive });
    setReadOnly(path);
  }
}

function mask(path: string): void {
  if (!existsSync(path)) return;
  if (lstatSync(path).isDirectory())
    mount({ source: 'tmpfs', target: path, type: 'tmpfs', flags: MS.readOnly, data: 'size=0' });
  else mount({ source: `${STAGED.dev}/null`, target: path, flags: MS.bind });
}

function place(tree: number, path: string): void {
  try {
    moveMount(tree, path);
  } finally {
    closeSync(tree);
  }
}
