import { closeSync, fstatSync, openSync, readSync, renameSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemErrorCode } from '../errors.ts';

/** The newest this many bytes of output, at least, are kept; twice as many at most. */
export const LOG_BYTES = 8 * 1024 * 1024;

const NEW = 'log';
const OLD = 'log.1';

/** A line of the log file. */
type LogLine =
  /** Bytes as latin1, so that whatever a program writes survives. */
  | { readonly stream: 'stdout' | 'stderr'; readonly time: string; readonly text: string }
  /** So many bytes could not be written. */
  | { readonly lost: number };

/** Writes the output of one container. A full disk is no reason to end it: what was lost is counted, and said later. */
export class LogWriter {
  readonly #directory: string;
  readonly #limit: number;
  #fd: number | undefined;
  #size = 0;
  #lost = 0;

  constructor(directory: string, limit = LOG_BYTES) {
    this.#directory = directory;
    this.#limit = limit;
  }

  append(stream: 'stdout' | 'stderr', chunk: Uint8Array): void {
    const text = Buffer.from(chunk).toString('latin1');
    try {
      // a line that was cut off ends here
      if (this.#lost > 0) this.#write(`\n${JSON.stringify({ lost: this.#lost } satisfies LogLine)}\n`);
      this.#lost = 0;
      this.#write(`${JSON.stringify({ stream, time: new Date().toISOString(), text } satisfies LogLine)}\n`);
    } catch {
      this.#lost += chunk.byteLength;
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #write(line: string): void {
    const path = join(this.#directory, NEW);
    if (this.#size > this.#limit) {
      this.close();
      renameSync(path, join(this.#directory, OLD));
    }
    this.#fd ??= openSync(path, 'a', 0o600);
    const bytes = Buffer.from(line);
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
    this.#size = fstatSync(this.#fd).size;
  }
}

export interface LogChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
}

const POLL_MS = 100;

export interface ReadLogOptions {
  /** Goes on until this says that nothing more will come. */
  readonly isEnded: () => Promise<boolean>;
  readonly signal: AbortSignal;
}

/** What the log has, oldest first, and then what is added to it. */
export async function* readLog(directory: string, { isEnded, signal }: ReadLogOptions): AsyncGenerator<LogChunk> {
  const old = open(join(directory, OLD));
  if (old !== undefined) {
    yield* new LogFile(old).rest();
    closeSync(old);
  }
  let file: LogFile | undefined;
  try {
    while (!signal.aborted) {
      // asked before reading: what was written up to then is read
      const isLast = await isEnded();
      file ??= openLog(directory);
      if (file !== undefined) yield* file.rest();
      if (file?.isReplaced(join(directory, NEW))) {
        yield* file.rest();
        closeSync(file.fd);
        file = undefined;
        continue;
      }
      if (isLast) return;
      await sleep(POLL_MS);
    }
  } finally {
    if (file !== undefined) closeSync(file.fd);
  }
}

function openLog(directory: string): LogFile | undefined {
  const fd = open(join(directory, NEW));
  return fd === undefined ? undefined : new LogFile(fd);
}

function open(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

class LogFile {
  readonly fd: number;
  #begun = '';

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Whole lines from where the last call ended. */
  *rest(): Generator<LogChunk> {
    const buffer = Buffer.alloc(64 * 1024);
    for (let size = readSync(this.fd, buffer); size > 0; size = readSync(this.fd, buffer)) {
      // the file is JSON of latin1, in which every character beyond ASCII stands as UTF-8 of two bytes
      const lines = (this.#begun + buffer.toString('latin1', 0, size)).split('\n');
      this.#begun = lines.pop() ?? '';
      for (const line of lines) yield* parse(Buffer.from(line, 'latin1').toString('utf8'));
    }
  }

  isReplaced(path: string): boolean {
    return statSync(path, { throwIfNoEntry: false })?.ino !== fstatSync(this.fd).ino;
  }
}

/** A line that was cut off by a full disk gives nothing. */
function* parse(line: string): Generator<LogChunk> {
  try {
    const entry: LogLine = JSON.parse(line);
    if ('lost' in entry) {
      yield { stream: 'stderr', bytes: Buffer.from(`[tsbuild: ${entry.lost} bytes of output could not be kept]\n`) };
    } else yield { stream: entry.stream, bytes: Buffer.from(entry.text, 'latin1') };
  } catch {
    // as said
  }
}
