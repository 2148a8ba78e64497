import { chmodSync, closeSync, mkdirSync, writeFileSync } from 'node:fs';
import { giveTo, type Mount, type Owners } from '../../layers/index.ts';
import { mountRoot } from './root-mount.ts';
import { ensurePlace, type Place, type PlaceKind } from './root-paths.ts';
import type { ProcessSpec } from './sandbox.ts';
import { STAGED, STAGING, stageForRuntime, stageKernelTrees } from './staging.ts';
import { attachMounts } from './step-mounts.ts';
import type { Stubs } from './stubs.ts';
import { chdir, cloneTree, detach, mount, moveMount, pivotRoot, setReadOnly } from './syscalls.ts';

/** What an OCI runtime is given, and how to start it. */
export interface Bundle {
  /** An empty directory. In the thread of the step it is a tmpfs: variables of the step may be secrets. */
  readonly directory: string;
  /** The text of config.json; the root is `rootfs` beside it. */
  readonly config: string;
  readonly id: string;
  /** The runtime with its global options. */
  readonly command: readonly string[];
}

export interface RootfsPlan {
  readonly spec: ProcessSpec;
  readonly root: Mount;
  /** undefined: the image's stays. */
  readonly resolvConf: string | undefined;
  readonly hosts: string;
  /** `container`: the step has the /proc that the namespace has (rung e). */
  readonly proc: 'own' | 'container';
  readonly hasOwnNetwork: boolean;
  readonly owners: Owners;
  /** An OCI runtime runs the step, and mounts /proc, /sys and /dev. */
  readonly bundle?: Bundle | undefined;
}

/** Builds the root of a step in the mount namespace of the calling thread, whose /proc is that of the step already. */
export function buildRootfs({ spec, root, resolvConf, hosts, bundle, owners, ...trees }: RootfsPlan): Stubs {
  if (bundle) stageForRuntime(trees.hasOwnNetwork);
  else stageKernelTrees({ ...trees, shmSizeBytes: spec.settings?.shmSizeBytes });
  mkdirSync(STAGED.root);
  mkdirSync(STAGED.files);
  mountRoot(root, { target: STAGED.root, links: STAGED.links });
  chdir('/');
  for (const directory of spec.directories) makeDirectory(directory, owners);
  const attached = [
    bundle ? reserve('/proc') : attach(STAGED.proc, '/proc', 'directory'),
    attach(STAGED.sys, '/sys', 'directory'),
    bundle ? reserve('/dev') : attach(STAGED.dev, '/dev', 'directory'),
    ...(resolvConf === undefined
      ? []
      : [attachFile(0, { path: '/etc/resolv.conf', content: resolvConf, mode: 0o644 })]),
    attachFile(1, { path: '/etc/hosts', content: hosts, mode: 0o644 }),
    ...spec.files.map((file, index) => attachFile(index + 2, { ...file, mode: 0o755 })),
  ];
  const mounts = attachMounts(spec.mounts, owners);
  return {
    mounted: [...attached.map(({ path }) => path), ...mounts.mounted],
    created: [...attached.flatMap(({ created }) => created), ...mounts.created],
  };
}

/** Makes the built root the root of this thread, and of the PID 1 that waits in the same namespace. */
export function enterRootfs(): void {
  chdir(STAGED.root);
  pivotRoot('.', '.');
  detach('.');
  chdir('/');
}

/** Makes the built root the bundle's, and shows the runtime the /proc of its process ids and the host's /sys. */
export function moveRootfs({ directory, config }: Bundle): void {
  const tree = cloneTree(STAGED.root);
  try {
    moveMount(STAGED.proc, '/proc');
    detach(STAGING);
    mount({ source: 'tmpfs', target: directory, type: 'tmpfs', data: 'mode=700' });
    writeFileSync(`${directory}/config.json`, config);
    mkdirSync(`${directory}/rootfs`);
    moveMount(tree, `${directory}/rootfs`);
  } finally {
    closeSync(tree);
  }
}

/** The runtime would make it, too, but not say so. */
function reserve(path: string): Place {
  const place = ensurePlace(STAGED.root, path, { kind: 'directory' });
  closeSync(place.fd);
  return place;
}

function makeDirectory({ path, uid, gid }: ProcessSpec['directories'][number], owners: Owners): void {
  const place = ensurePlace(STAGED.root, path, {
    kind: 'directory',
    onCreate: ({ fd }) => giveTo(`/proc/self/fd/${fd}`, { uid, gid }, owners),
  });
  closeSync(place.fd);
}

function attach(source: string | number, path: string, kind: PlaceKind): Place {
  const place = ensurePlace(STAGED.root, path, { kind });
  try {
    moveMount(source, place.fd);
    return place;
  } finally {
    closeSync(place.fd);
  }
}

interface ReadOnlyFile {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

function attachFile(index: number, { path, content, mode }: ReadOnlyFile): Place {
  const source = `${STAGED.files}/${index}`;
  writeFileSync(source, content);
  chmodSync(source, mode);
  const tree = cloneTree(source);
  try {
    setReadOnly(tree);
    return attach(tree, path, 'file');
  } finally {
    closeSync(tree);
  }
}
