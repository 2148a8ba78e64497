import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readlinkSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { BuildError, systemErrorCode } from '../../errors.ts';
import { mknod, openat2, RESOLVE_IN_ROOT } from '../../layers/index.ts';
import { hostsFile, stepResolvConf } from './host-files.ts';
import { copyTree, type PlaceRequest } from './placements.ts';
import { ensurePlace } from './root-paths.ts';
import type { ProcessMount, ProcessSpec } from './sandbox.ts';
import { O_PATH } from './syscalls.ts';

type Of<Kind extends ProcessMount['kind']> = Extract<ProcessMount, { kind: Kind }>;

/** What rung d cannot do, with the way out that all of it has in common. */
export const refused = (what: string, hint?: string): BuildError =>
  new BuildError('E_SANDBOX', `Cannot ${what} on rung d: root in a container without namespaces`, {
    hint: hint ?? 'Give the container namespaces, see tsbuild info: then steps run on a higher rung',
  });

/** Makes the working directories that are missing; they are part of the layer. */
export function makeDirectories(root: string, { directories }: ProcessSpec): void {
  for (const { path, uid, gid } of directories) {
    const onCreate = ({ fd }: { readonly fd: number }): void => {
      chownSync(`/proc/self/fd/${fd}`, uid, gid);
      chmodSync(`/proc/self/fd/${fd}`, 0o755); // whatever our umask is
    };
    closeSync(ensurePlace(root, path, { kind: 'directory', onCreate }).fd);
  }
}

/** linux/magic.h: tmpfs and ramfs, which no disk ever sees (but swap). */
const IN_MEMORY = [0x01021994, 0x858458f6];

/** (major, minor) of Documentation/admin-guide/devices.txt. */
const DEVICES = { null: [1, 3], zero: [1, 5], full: [1, 7], random: [1, 8], urandom: [1, 9], tty: [5, 0] } as const;
const S_IFCHR = 0o020000;
const S_IFIFO = 0o010000;

/** A named pipe: what a step writes to /dev/stdout goes where its standard output goes. */
export interface DeviceDirectory {
  readonly path: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** A /dev to put into the root; there is no /proc that /dev/fd could lead to. */
export function makeDevices(stash: string, { uid, gid }: ProcessSpec): DeviceDirectory {
  const path = `${stash}/dev`;
  mkdirSync(path);
  chmodSync(path, 0o755);
  for (const [name, [major, minor]] of Object.entries(DEVICES)) makeDevice(`${path}/${name}`, { major, minor });
  for (const name of ['stdout', 'stderr']) {
    mknod(`${path}/${name}`, S_IFIFO | 0o600, { major: 0, minor: 0 });
    chownSync(`${path}/${name}`, uid, gid);
  }
  symlinkSync('null', `${path}/stdin`);
  mkdirSync(`${path}/shm`);
  chmodSync(`${path}/shm`, 0o1777);
  return { path, stdout: `${path}/stdout`, stderr: `${path}/stderr` };
}

function makeDevice(path: string, device: { readonly major: number; readonly minor: number }): void {
  try {
    mknod(path, S_IFCHR | 0o666, device);
    chmodSync(path, 0o666);
    if (path.endsWith('/null')) closeSync(openSync(path, constants.O_RDWR));
  } catch (cause) {
    throw new BuildError('E_SANDBOX', `Cannot make /dev for a step: ${systemErrorCode(cause)}`, {
      hint: 'The state directory must be on a filesystem with devices (not mounted nodev): choose another with --root',
      cause,
    });
  }
}

/** There is no network but the container's. */
const HOST = { nameServer: undefined, hostAddress: '127.0.0.1' };

/** Everything that a step finds beside its image, in the order of its targets: parents before what lies in them. */
export function placesOf(spec: ProcessSpec, stash: string): readonly PlaceRequest[] {
  const { settings, files, mounts } = spec;
  const resolvConf = stepResolvConf(settings?.resolver, HOST);
  const plain = [
    ...(resolvConf === undefined ? [] : [{ path: '/etc/resolv.conf', content: resolvConf, mode: 0o644 }]),
    { path: '/etc/hosts', content: hostsFile(spec.hostname, settings?.hosts ?? [], HOST), mode: 0o644 },
    ...files.map((file) => ({ ...file, mode: 0o755 })),
  ].map(({ path, content, mode }, index) => {
    const source = `${stash}/file-${index}`;
    writeFileSync(source, content);
    chmodSync(source, mode);
    return { target: path, source };
  });
  const empty = ['/proc', '/sys'].map((target) => {
    const source = `${stash}${target}`;
    mkdirSync(source);
    chmodSync(source, 0o555);
    return { target, source };
  });
  // no name sorts before the parent that it begins with
  const sorted = mounts.toSorted((a, b) => (a.target < b.target ? -1 : a.target > b.target ? 1 : 0));
  return [...empty, ...plain, ...sorted.map((mount, index) => placeOf(mount, `${stash}/mount-${index}`))];
}

function placeOf(mount: ProcessMount, source: string): PlaceRequest {
  const { target } = mount;
  switch (mount.kind) {
    case 'tree':
      return { target, ...treeOf(mount, source) };
    case 'tmpfs':
      if (mount.sizeBytes !== undefined) throw refused(`limit the size of the tmpfs at "${target}"`);
      mkdirSync(source);
      chmodSync(source, 0o1777);
      return { target, source };
    case 'secret':
      return { target, source: secretOf(mount, source) };
    case 'socket':
      return { target, source: mount.path };
    default:
      return mount satisfies never;
  }
}

function treeOf(mount: Of<'tree'>, copy: string): Pick<PlaceRequest, 'source' | 'isReturned'> {
  const { root, readOnly, isPrivate } = mount;
  if (root.type !== 'bind') throw new BuildError('E_INTERNAL', 'A step without namespaces got a root to mount');
  const found = realPath(mount);
  if (isPrivate && root.readOnly) return { source: found };
  if (isPrivate && !readOnly) return { source: found, isReturned: true };
  if (!readOnly) throw refused(`mount "${root.source}" writable`, 'Mount it read-only, or copy it with COPY');
  copyTree(found, copy);
  return { source: copy };
}

/** The path of the mount's source, links resolved inside its root. Throws `E_NOT_IN_CONTEXT`. */
function realPath({ root, source, description }: Of<'tree'>): string {
  const rootFd = openSync(root.source, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const fd = openat2(rootFd, source, { flags: O_PATH, resolve: RESOLVE_IN_ROOT });
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    const code = systemErrorCode(cause);
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP') throw cause;
    throw new BuildError('E_NOT_IN_CONTEXT', `Cannot mount "${source}": there is no such path in ${description}`, {
      hint: "Check the mount's source; it is a path in what from= names",
      cause,
    });
  } finally {
    closeSync(rootFd);
  }
}

function secretOf({ target, content, mode, uid, gid }: Of<'secret'>, path: string): string {
  if (!IN_MEMORY.includes(statfsSync(path.slice(0, path.lastIndexOf('/'))).type)) {
    throw refused(
      `put the secret "${target}" into a file, as it would be written to a disk,`,
      'Take it as a variable (--mount=type=secret,id=...,env=NAME), or keep the state in memory: --root /dev/shm/tsbuild',
    );
  }
  writeFileSync(path, content, { mode: 0o600 });
  chownSync(path, uid, gid);
  chmodSync(path, mode);
  return path;
}
