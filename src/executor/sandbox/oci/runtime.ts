import { accessSync, constants, mkdtempSync, rmdirSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import type { Bundle } from '../rootfs.ts';
import type { ProcessSpec } from '../sandbox.ts';
import { runtimeConfig } from './config.ts';

/** In the order in which they are tried. */
const NAMES = ['crun', 'runc', 'youki'] as const;
/** What they need beside the usual places, for a user's PATH without the system's. */
const PLACES = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

export interface OpenBundle extends AsyncDisposable {
  readonly bundle: Bundle;
}

/** Makes the bundles that a runtime runs. */
export interface OciRuntime {
  createBundle(spec: ProcessSpec): Promise<OpenBundle>;
}

let count = 0;

/** A bundle for one program, whose directory goes at the end. */
export function openBundle(program: string, spec: ProcessSpec): OpenBundle {
  const config = runtimeConfig(spec, release());
  const directory = mkdtempSync(`${tmpdir()}/tsbuild-oci-`);
  return {
    bundle: { directory, config, id: `tsbuild-${process.pid}-${count++}`, command: [program, ...optionsOf(program)] },
    [Symbol.asyncDispose]: async () => rmdirSync(directory),
  };
}

/** Steps are in the cgroup of the build, where the runtime may make none: it must not fail for that. */
function optionsOf(program: string): readonly string[] {
  const name = program.slice(program.lastIndexOf('/') + 1);
  if (name.startsWith('runc')) return ['--rootless=true'];
  return name.startsWith('crun') ? ['--cgroup-manager=disabled'] : [];
}

/** The runtimes that are installed, by their paths. `path`: $PATH. */
export function findRuntimes(path = ''): readonly string[] {
  const places = [...new Set([...path.split(':').filter((place) => place.startsWith('/')), ...PLACES])];
  return NAMES.flatMap((name) => places.map((place) => `${place}/${name}`).find(isExecutable) ?? []);
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
