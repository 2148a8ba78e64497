import { randomBytes } from 'node:crypto';
import { utimesSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { identityOf, isOrphaned, type ProcessIdentity } from './process-identity.ts';
import { namesIn, readRecord, removeFile, replaceFile } from './state-file.ts';

const HEARTBEAT_MS = 10_000;
/** Six heartbeats: a process that is seen only by its heartbeats (another pid namespace) and shows none is gone. */
const STALE_MS = 60_000;
/** File times come from the kernel's coarse clock, which is up to one tick (10 ms at 100 Hz) behind. */
const CLOCK_GRAIN_MS = 20;

/** Says that a process uses the store. What was made or used since the oldest lease began is not pruned. */
export interface Lease extends AsyncDisposable {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly startedMs: number;
}

interface LeaseRecord extends ProcessIdentity {
  readonly pid: number;
  readonly startedMs: number;
}

/**
 * Leases instead of locks: a native lock would need a library, and nobody ever waits for one here.
 * A holder in our pid namespace is alive as long as its process is; any other as long as its heartbeat (the file's
 * mtime) is fresh.
 */
export class Leases {
  readonly #directory: string;
  readonly #ingest: string;

  constructor(directories: { readonly leases: string; readonly ingest: string }) {
    this.#directory = directories.leases;
    this.#ingest = directories.ingest;
  }

  /** Begins a lease and clears away the temporary files of processes that died. */
  async begin(): Promise<Lease> {
    const startedMs = Date.now() - CLOCK_GRAIN_MS;
    const id = `${process.pid}-${randomBytes(6).toString('hex')}`;
    const path = join(this.#directory, `${id}.json`);
    const record: LeaseRecord = { ...identityOf(process.pid), pid: process.pid, startedMs };
    await replaceFile({ path, bytes: JSON.stringify(record), ingest: this.#directory });
    await this.clearIngest(startedMs);
    const heartbeat = setInterval(() => beat(path), HEARTBEAT_MS);
    heartbeat.unref();
    return {
      id,
      startedMs,
      [Symbol.asyncDispose]: async () => {
        clearInterval(heartbeat);
        removeFile(path);
      },
    };
  }

  async withLease<T>(work: (lease: Lease) => Promise<T>): Promise<T> {
    const lease = await this.begin();
    try {
      return await work(lease);
    } finally {
      await lease[Symbol.asyncDispose]();
    }
  }

  /** When the oldest living lease began, `own` and `now` included; removes the leases of the dead. */
  async oldestStart(now: number, own?: Lease): Promise<number> {
    let oldest = Math.min(now, own?.startedMs ?? now);
    for (const name of await namesIn(this.#directory)) {
      const path = join(this.#directory, name);
      if (isOrphaned(name)) await rm(path, { force: true });
      if (!name.endsWith('.json') || name === `${own?.id}.json`) continue;
      const record = await readLease(path);
      if (record && (await isAlive(path, record))) oldest = Math.min(oldest, record.startedMs);
      else await rm(path, { force: true });
    }
    return oldest;
  }

  /** Removes temporary files that no living process can be writing, with a lease or (for a moment) without. Returns how many. */
  async clearIngest(now: number): Promise<number> {
    const names = await namesIn(this.#ingest);
    if (names.length === 0) return 0;
    const oldest = await this.oldestStart(now);
    let removed = 0;
    for (const name of names) {
      const path = join(this.#ingest, name);
      const modified = (await stat(path).catch(() => undefined))?.mtimeMs ?? now;
      if (modified >= oldest || !(isOrphaned(name) || now - modified > STALE_MS)) continue;
      // what was unpacked may have directories that only the namespace's root can write to: the next one there removes it
      const isGone = await rm(path, { recursive: true, force: true }).then(
        () => true,
        () => false,
      );
      if (isGone) removed++;
    }
    return removed;
  }
}

async function readLease(path: string): Promise<LeaseRecord | undefined> {
  const value = await readRecord(path);
  if (!value || typeof value.pid !== 'number' || typeof value.startedMs !== 'number') return undefined;
  const { pid, startedMs, pidNamespace, boot, processStart } = value;
  return {
    pid,
    startedMs,
    pidNamespace: String(pidNamespace),
    boot: String(boot),
    processStart: String(processStart),
  };
}

async function isAlive(path: string, lease: LeaseRecord): Promise<boolean> {
  const here = identityOf(lease.pid);
  if (here.pidNamespace !== '' && here.pidNamespace === lease.pidNamespace && here.boot === lease.boot) {
    return here.processStart !== '' && here.processStart === lease.processStart;
  }
  const stats = await stat(path).catch(() => undefined);
  return stats !== undefined && Date.now() - stats.mtimeMs < STALE_MS;
}

function beat(path: string): void {
  const now = Date.now() / 1000;
  try {
    utimesSync(path, now, now);
  } catch {
    // The lease was disposed meanwhile, or the store is gone; whoever writes to it next will say so.
  }
}
