import {
  closeSync,
  fdatasync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { BuildError, systemErrorCode } from '../errors.ts';
import { temporaryName } from './process-identity.ts';
import { storeError } from './store-error.ts';

export interface Replacement {
  readonly path: string;
  readonly bytes: Uint8Array | string;
  /** Where the temporary file lies; on the same filesystem as `path`. */
  readonly ingest: string;
  /** Reaches the disk before it gets its name. For what cannot be made again; a cache record can. */
  readonly durable?: boolean;
  readonly mode?: number;
}

// These files are small, and a step touches a dozen of them: a trip through the thread pool costs more than the call
// itself. Only waiting for the disk is left to the pool.
const datasync = promisify(fdatasync);

/** Readers see the old bytes or the new ones, never a part. Makes missing directories. */
export async function replaceFile({ path, bytes, ingest, durable = false, mode = 0o644 }: Replacement): Promise<void> {
  const temporary = join(ingest, temporaryName());
  try {
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(temporary, 'wx', mode);
    try {
      writeFileSync(file, bytes);
      if (durable) await datasync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw storeError({ doing: 'write a state file', path, neededBytes: Buffer.byteLength(bytes) }, cause);
  }
}

/** undefined: there is no such file. */
export async function readStateFile(path: string): Promise<string | undefined> {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (systemErrorCode(cause) === 'ENOENT') return undefined;
    throw storeError({ doing: 'read a state file', path }, cause);
  }
}

/** Nothing where it is not there. */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (cause) {
    if (systemErrorCode(cause) !== 'ENOENT') throw storeError({ doing: 'remove a state file', path }, cause);
  }
}

/** What a directory of the store holds, in no order; nothing where it was not made yet. */
export async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return readdirSync(directory);
  } catch (cause) {
    if (systemErrorCode(cause) === 'ENOENT') return [];
    throw storeError({ doing: 'list a directory of the store', path: directory }, cause);
  }
}

/** An object of unknown members; undefined: missing or damaged. */
export async function readRecord(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const text = await readStateFile(path);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    // An object that is not an array is a record of unknown members.
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Marks a file as used now, for prune. false: there is no such file. */
export async function touch(path: string): Promise<boolean> {
  const now = Date.now() / 1000;
  try {
    utimesSync(path, now, now);
    return true;
  } catch (cause) {
    switch (systemErrorCode(cause)) {
      case 'ENOENT':
        return false;
      case 'EROFS':
      case 'EPERM':
      case 'EACCES':
        return isThere(path);
      default:
        throw storeError({ doing: 'look into the store', path }, cause);
    }
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (cause) {
    if (systemErrorCode(cause) === 'ENOENT') return false;
    throw storeError({ doing: 'look into the store', path }, cause);
  }
}

/** What is guarded takes milliseconds; an older lock belongs to a process that died. */
const STALE_LOCK_MS = 10_000;
const LOCK_TIMEOUT_MS = 30_000;

async function takeLock(lock: string): Promise<void> {
  const deadline = Date.now() + LOCK_TIMEOUT_MS;
  for (;;) {
    try {
      closeSync(openSync(lock, 'wx'));
      return;
    } catch (cause) {
      if (systemErrorCode(cause) !== 'EEXIST') throw storeError({ doing: 'lock a state file', path: lock }, cause);
    }
    const held = await stat(lock).catch(() => undefined);
    if (held && Date.now() - held.mtimeMs > STALE_LOCK_MS) rmSync(lock, { force: true });
    else if (Date.now() > deadline) {
      throw new BuildError('E_LOCKED', `Cannot lock "${lock}": another process holds it`, {
        hint: 'Wait for the other process, or remove the file if there is none',
      });
    } else await sleep(2 + Math.random() * 8);
  }
}

/** Runs `change` while no other process runs one on `path`. Only for read-change-write of one small file. */
export async function withFileLock<T>(path: string, change: () => Promise<T>): Promise<T> {
  const lock = `${path}.lock`;
  mkdirSync(dirname(path), { recursive: true });
  await takeLock(lock);
  try {
    return await change();
  } finally {
    rmSync(lock, { force: true });
  }
}
