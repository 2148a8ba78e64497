import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Owners } from './ownership.ts';

/** What a layer directory cannot say by itself: `meta.json` beside its `fs`. Paths are relative and clean; the root is `''`. */
export interface LayerMeta {
  /** applied: unpacked from a tar. frozen: what a step left; its tar can be made from it again, byte for byte. */
  readonly kind: 'applied' | 'frozen';
  /** Directories that the tar does not have: made because something lies in them. Below them a chain's real attributes count. */
  readonly implicit: readonly string[];
  /** The layer hides everything below it. (Overlay ignores the attribute on a lower directory's root.) */
  readonly opaqueRoot: boolean;
  /** Hard links to files of layers below: filled in where a chain is put together. */
  readonly links: readonly LowerLink[];
  /** What could not be made here, with the reason: devices in a user namespace, attributes that a filesystem has not. */
  readonly skipped: readonly Skipped[];
  readonly tarSize: number;
  /** Absent: `real`. */
  readonly owners?: Owners;
}

export interface LowerLink {
  readonly path: string;
  readonly linkname: string;
}

export interface Skipped {
  readonly path: string;
  readonly what: string;
  readonly reason: string;
}

const fileOf = (layerDirectory: string): string => join(layerDirectory, 'meta.json');

export const writeMeta = (layerDirectory: string, meta: LayerMeta): void =>
  writeFileSync(fileOf(layerDirectory), JSON.stringify(meta), { mode: 0o600 });

interface Known {
  readonly ino: number;
  readonly ctimeMs: number;
  readonly meta: LayerMeta;
}

/** What was read before; a step reads it of every layer below, several times. */
const known = new Map<string, Known>();
const MOST_KNOWN = 1024;

/** The same object as long as it is the same file. */
export function readMeta(layerDirectory: string): LayerMeta {
  const path = fileOf(layerDirectory);
  const { ino, ctimeMs } = statSync(path);
  const before = known.get(path);
  if (before?.ino === ino && before.ctimeMs === ctimeMs) return before.meta;
  // Our own file, written before the directory got its name.
  const meta = JSON.parse(readFileSync(path, 'utf8')) as LayerMeta; // see above
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(path, { ino, ctimeMs, meta });
  return meta;
}
