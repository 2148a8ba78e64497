import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_CAPABILITIES } from '../../src/executor/sandbox/capability-names.ts';
import { seccompSection } from '../../src/executor/sandbox/oci/seccomp-section.ts';

/** Docker's default profile: it leaves to CAP_SYS_ADMIN what makes namespaces and mounts. */
const seccomp = seccompSection(undefined, { capabilities: DEFAULT_CAPABILITIES, kernel: release() });

/** As denied as a container of `docker run`, or as one with `seccomp=unconfined`. */
export type ContainerKind = 'default' | 'unconfined';

export interface Container {
  /** What runs a command in it, before the command. */
  enter(env: Readonly<Record<string, string>>, cwd: string): readonly string[];
  stop(): void;
}

const MASKED = ['/proc/acpi', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/timer_list', '/sys/firmware'];
const READ_ONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];
const SAFE = ['nosuid', 'noexec', 'nodev'];

const mounts = (shared: string) => [
  { destination: '/proc', type: 'proc', source: 'proc' },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
  { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance'] },
  { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...SAFE, 'mode=1777', 'size=65536k'] },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: SAFE },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...SAFE, 'ro'] },
  { destination: shared, type: 'bind', source: shared, options: ['rbind', 'rw'] },
];

function configOf(kind: ContainerKind, { root, shared }: { readonly root: string; readonly shared: string }) {
  const names = DEFAULT_CAPABILITIES.map((name) => `CAP_${name}`);
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 0, gid: 0 },
      args: ['sleep', '600'],
      env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
      cwd: '/',
      capabilities: { bounding: names, effective: names, permitted: names },
    },
    root: { path: root },
    mounts: mounts(shared),
    linux: {
      namespaces: ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type })),
      maskedPaths: MASKED,
      readonlyPaths: READ_ONLY,
      ...(kind === 'default' ? { seccomp } : {}),
    },
  };
}

/** Whether a container can be made here. */
export const canContain = (): boolean => process.getuid?.() === 0 && existsSync('/usr/sbin/runc');

/**
 * A container over this machine's own files, its root an overlay as Docker's is, with the network of this machine.
 * `shared`: a directory that both see.
 */
export function startContainer(kind: ContainerKind, shared: string): Container {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'tsbuild-container-')));
  const id = base.slice(base.lastIndexOf('/') + 1);
  const run = (program: string, ...args: readonly string[]) => execFileSync(program, args, { stdio: 'pipe' });
  mkdirSync(join(base, 'disk'));
  run('mount', '-t', 'tmpfs', 'tmpfs', join(base, 'disk'));
  const [upper, work, root] = ['upper', 'work', 'root'].map((name) => join(base, 'disk', name));
  for (const directory of [upper, work, root]) mkdirSync(directory ?? '');
  run('mount', '-t', 'overlay', 'overlay', '-o', `lowerdir=/,upperdir=${upper},workdir=${work}`, root ?? '');
  writeFileSync(join(base, 'config.json'), JSON.stringify(configOf(kind, { root: root ?? '', shared })));
  // its standard streams are not ours: it would keep them open
  execFileSync('runc', ['run', '-d', '-b', base, id], { stdio: 'ignore' });
  return {
    enter: (env, cwd) => [
      'runc',
      'exec',
      '--cwd',
      cwd,
      ...Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
      id,
    ],
    stop: () => {
      spawnSync('runc', ['delete', '--force', id]);
      spawnSync('umount', ['-l', root ?? '']);
      spawnSync('umount', ['-l', join(base, 'disk')]);
      rmSync(base, { recursive: true, force: true });
    },
  };
}
