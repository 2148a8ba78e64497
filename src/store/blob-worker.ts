/**
 * Entry point of the thread that writes a blob (scripts/build.mjs makes dist/blob-worker.cjs of it): hashes chunks, writes
 * them into a new file, and gives each back. Its `workerData` is a `BlobJob`.
 */
import { open } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { BuildError, systemErrorCode } from '../errors.ts';
import { sha256 } from '../oci/index.ts';
import type { BlobJob, FromBlobThread, ToBlobThread } from './blob-thread.ts';
import { SparseFile } from './sparse-file.ts';

const port = parentPort;
if (!port) throw new BuildError('E_INTERNAL', 'The thread that writes blobs was started as a program');

const send = (message: FromBlobThread, transfer: readonly ArrayBuffer[] = []): void =>
  port.postMessage(message, [...transfer]);

async function write({ path, mode }: BlobJob): Promise<void> {
  const hash = sha256();
  const file = await open(path, 'wx', 0o600);
  const sparse = new SparseFile(file);
  try {
    for (let chunk = await next(); chunk !== 'end'; chunk = await next()) {
      const { buffer } = chunk;
      hash.update(chunk);
      await sparse.add(chunk, () => send({ type: 'free', buffer }, [buffer]));
    }
    await file.chmod(mode);
    await sparse.finish();
  } finally {
    await sparse.settle();
    await file.close();
  }
  send({ type: 'done', sha256: hash.digest('hex') });
}

const messages: ToBlobThread[] = [];
let wake: () => void = () => undefined;
port.on('message', (message: ToBlobThread) => {
  messages.push(message);
  wake();
});

async function next(): Promise<ToBlobThread> {
  for (;;) {
    const message = messages.shift();
    if (message) return message;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

write(workerData)
  .catch((error: unknown) => send({ type: 'failed', code: systemErrorCode(error), message: String(error) }))
  .finally(() => port.close());
