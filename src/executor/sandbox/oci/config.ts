import { BuildError } from '../../../errors.ts';
import { DEFAULT_CAPABILITIES } from '../capability-names.ts';
import type { ProcessSpec } from '../sandbox.ts';
import type { SandboxSettings } from '../settings.ts';
import { MASKED_PROC, MASKED_SYS, READ_ONLY_PROC, SHM_BYTES } from '../staging.ts';
import { type SeccompSection, seccompSection } from './seccomp-section.ts';

/** JSON has no way to write 2^64-1, which JavaScript could not read either. */
const INFINITY = '@unlimited@';
const RLIM_INFINITY = '18446744073709551615';

/**
 * The config.json of the OCI runtime spec for a step whose root, user namespace and network are there already: everything
 * else is as in the built-in sandbox. `kernel`: as of uname(2).
 */
export function runtimeConfig(spec: ProcessSpec, kernel: string): string {
  const covered = spec.mounts.find(({ target }) => /^\/dev(\/|$)/.test(target));
  if (covered !== undefined) {
    throw new BuildError('E_UNSUPPORTED', `Cannot mount at "${covered.target}" with --isolation oci`, {
      hint: 'The runtime makes that directory itself: choose another target, or --isolation builtin',
      fields: { target: covered.target },
    });
  }
  const config = {
    ociVersion: '1.0.2',
    root: { path: 'rootfs', readonly: false },
    hostname: spec.hostname,
    process: processOf(spec),
    mounts: mountsOf(spec),
    linux: linuxOf(spec.settings ?? {}, kernel),
  };
  return JSON.stringify(config).replaceAll(`"${INFINITY}"`, RLIM_INFINITY);
}

function processOf({ argv, env, cwd, uid, gid, groups, settings = {} }: ProcessSpec) {
  const bounding = (settings.capabilities ?? DEFAULT_CAPABILITIES).map((name) => `CAP_${name}`);
  const own = uid === 0 ? bounding : []; // as in Docker: others get some by setuid programs and file capabilities only
  return {
    terminal: false,
    user: { uid, gid, umask: 0o022, additionalGids: groups },
    args: argv,
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    cwd,
    capabilities: { bounding, effective: own, permitted: own, inheritable: [], ambient: [] },
    noNewPrivileges: settings.noNewPrivileges === true,
    rlimits: (settings.ulimits ?? []).map(({ resource, soft, hard }) => ({
      type: `RLIMIT_${resource.toUpperCase()}`,
      soft: soft ?? INFINITY,
      hard: hard ?? INFINITY,
    })),
  };
}

const SAFE = ['nosuid', 'noexec', 'nodev'];

/** /sys is in the root already. */
function mountsOf({ settings = {} }: ProcessSpec) {
  const shm = ['mode=1777', `size=${settings.shmSizeBytes ?? SHM_BYTES}`];
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: SAFE },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
    },
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...SAFE, ...shm] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: SAFE },
  ];
}

function linuxOf({ capabilities = DEFAULT_CAPABILITIES, seccomp }: SandboxSettings, kernel: string) {
  const section: SeccompSection | undefined = seccompSection(seccomp, { capabilities, kernel });
  return {
    namespaces: ['pid', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type })),
    maskedPaths: [
      ...MASKED_PROC.map((name) => `/proc/${name}`),
      ...[...MASKED_SYS, 'fs/cgroup'].map((name) => `/sys/${name}`),
    ],
    readonlyPaths: READ_ONLY_PROC.map((name) => `/proc/${name}`),
    ...(section === undefined ? {} : { seccomp: section }),
  };
}
