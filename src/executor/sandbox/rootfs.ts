import { chmodSync, chownSync, closeSync, mkdirSync, writeFileSync } from 'node:fs';
import type { Mount } from '../../layers/index.ts';
import { mountRoot } from './root-mount.ts';
import { ensurePlace, type Place, type PlaceKind } from './root-paths.ts';
import type { ProcessSpec } from './sandbox.ts';
import { STAGED, stageKernelTrees } from './staging.ts';
import { attachMounts } from './step-mounts.ts';
import type { Stubs } from './stubs.ts';
import { chdir, cloneTree, detach, moveMount, pivotRoot, setReadOnly } from './syscalls.ts';

export interface RootfsPlan {
  readonly spec: ProcessSpec;
  readonly root: Mount;
  /** undefined: the image's stays. */
  readonly resolvConf: string | undefined;
  readonly hosts: string;
  /** `container`: the step has the /proc that the namespace has (rung e). */
  readonly proc: 'own' | 'container';
  readonly hasOwnNetwork: boolean;
}

/** Builds the root of a step in the mount namespace of the calling thread, whose /proc is that of the step already. */
export function buildRootfs({ spec, root, resolvConf, hosts, proc, hasOwnNetwork }: RootfsPlan): Stubs {
  stageKernelTrees({ proc, hasOwnNetwork, shmSizeBytes: spec.settings?.shmSizeBytes });
  mkdirSync(STAGED.root);
  mkdirSync(STAGED.files);
  mountRoot(root, { target: STAGED.root, links: STAGED.links });
  chdir('/');
  for (const directory of spec.directories) makeDirectory(directory);
  const attached = [
    attach(STAGED.proc, '/proc', 'directory'),
    attach(STAGED.sys, '/sys', 'directory'),
    attach(STAGED.dev, '/dev', 'directory'),
    ...(resolvConf === undefined
      ? []
      : [attachFile(0, { path: '/etc/resolv.conf', content: resolvConf, mode: 0o644 })]),
    attachFile(1, { path: '/etc/hosts', content: hosts, mode: 0o644 }),
    ...spec.files.map((file, index) => attachFile(index + 2, { ...file, mode: 0o755 })),
  ];
  const mounts = attachMounts(spec.mounts);
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

function makeDirectory({ path, uid, gid }: ProcessSpec['directories'][number]): void {
  const place = ensurePlace(STAGED.root, path, {
    kind: 'directory',
    onCreate: ({ fd }) => chownSync(`/proc/self/fd/${fd}`, uid, gid),
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
