import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BuildError, systemErrorCode } from '../errors.ts';
import { canonicalJson, digestOf, hexOf, type Json } from '../oci/index.ts';

/** A name for what these facts describe, fit for a file. */
export const keyOf = (facts: Json): string => hexOf(digestOf(canonicalJson(facts)));

export interface KeptOptions {
  /** `<root>/remote`. */
  readonly directory: string;
  /** A new path on the same file system, which somebody removes should we die. */
  readonly temporary: () => string;
}

/** Apart from the entry itself, whose time says when it was used. */
const CONTENT = 'content';

/**
 * What was fetched: directories (`trees`) and small records, each under one name that it gets when it is complete. The
 * time of an entry is its last use, by which prune tells what a running build needs.
 */
export class Kept {
  readonly #options: KeptOptions;

  constructor(options: KeptOptions) {
    this.#options = options;
  }

  /** Where the tree with this key lies, marked as used; undefined: it is not here. */
  find(key: string): string | undefined {
    const path = this.#path(key);
    return touch(path) ? join(path, CONTENT) : undefined;
  }

  /** Makes a tree in a new directory and gives it its name. Whatever `make` throws leaves nothing behind. */
  async add(make: (directory: string) => Promise<string>): Promise<string> {
    const made = this.#options.temporary();
    try {
      const content = join(made, CONTENT);
      mkdirSync(content, { recursive: true });
      chmodSync(content, 0o755);
      const path = this.#path(await make(content));
      moveInto(made, path);
      touch(path);
      return join(path, CONTENT);
    } catch (error) {
      throw diskError(error);
    } finally {
      rmSync(made, { recursive: true, force: true });
    }
  }

  /** undefined: missing or damaged. */
  readRecord(key: string): Readonly<Record<string, unknown>> | undefined {
    const path = `${this.#path(key)}.json`;
    try {
      const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
      if (typeof value !== 'object' || value === null) return undefined;
      touch(path);
      return value as Record<string, unknown>; // an object has unknown members
    } catch {
      return undefined;
    }
  }

  writeRecord(key: string, record: Json): void {
    const path = `${this.#path(key)}.json`;
    const made = this.#options.temporary();
    try {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(made, canonicalJson(record), { mode: 0o600 });
      renameSync(made, path);
    } catch (error) {
      rmSync(made, { force: true });
      throw diskError(error);
    }
  }

  #path(key: string): string {
    return join(this.#options.directory, key);
  }
}

/** The name may be taken: another build was faster, with the same content. */
function moveInto(made: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  try {
    renameSync(made, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  }
}

function touch(path: string): boolean {
  const now = Date.now() / 1000;
  try {
    utimesSync(path, now, now);
    return true;
  } catch {
    return false;
  }
}

/** A refusal of the state directory's disk; other errors pass. */
export function diskError(error: unknown): unknown {
  if (error instanceof BuildError) return error;
  switch (systemErrorCode(error)) {
    case undefined:
      return error;
    case 'ENOSPC':
    case 'EDQUOT':
      return new BuildError('E_NO_SPACE', 'Cannot keep what was fetched: no space left in the state directory', {
        hint: 'Run "tsbuild prune --all" to free space, or move the state directory with --root',
        cause: error,
      });
    default:
      return new BuildError('E_STORE', `Cannot keep what was fetched: ${String(error)}`, {
        hint: 'Check the state directory and its disk',
        cause: error,
      });
  }
}
