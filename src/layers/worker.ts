/**
 * Entry point of the layers' worker thread (scripts/build.mjs makes dist/layers-worker.cjs of it). One job at a time, beside it files
 * to unpack; bytes pass in chunks, with at most CHUNKS_ON_THE_WAY unanswered ones, so that neither side can fill the memory.
 */
import { type MessagePort, parentPort } from 'node:worker_threads';
import { BuildError } from '../errors.ts';
import { LayerWriter } from './apply.ts';
import { tarOfLayer } from './dir-tar.ts';
import { FileFeed } from './file-feed.ts';
import { IdMap } from './id-map.ts';
import { CHUNKS_ON_THE_WAY, type FromWorker, type Job, type JobOf, type ToWorker } from './jobs.ts';
import { runJob } from './run-job.ts';
import { TarDecoder } from './tar/index.ts';
import { unpackFile } from './unpack-file.ts';
import { explain, toSent } from './worker-errors.ts';

const port = parentPort;
if (!port) throw new BuildError('E_INTERNAL', 'The layers worker was started as a program');

const send = (message: FromWorker, transfer: readonly ArrayBuffer[] = []): void =>
  port.postMessage(message, [...transfer]);
const failed = ({ kind }: Job, error: unknown): FromWorker => ({ type: 'failed', error: toSent(explain(kind, error)) });
const fail = (job: Job, error: unknown): void => send(failed(job, error));
const aborted = new BuildError('E_CANCELLED', 'The layer was given up');

/** What the running job does with further messages. */
let receive: (message: ToWorker) => void = () => undefined;

port.on('message', (message: ToWorker) => {
  if (message.type === 'unpack') return startUnpack(message.job, message.port);
  if (message.type !== 'start') return receive(message);
  const { job } = message;
  if (job.kind === 'apply') return startApply(job);
  if (job.kind === 'tar') return void streamTar(job).catch((error: unknown) => fail(job, error));
  try {
    send({ type: 'done', output: runJob(job) });
  } catch (error) {
    fail(job, error);
  }
});

function startApply(job: JobOf<'apply'>): void {
  let writer: LayerWriter | undefined;
  let tarSize = 0;
  const stop = (error: unknown): void => {
    receive = () => undefined;
    writer?.close();
    fail(job, error);
  };
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      stop(error);
    }
  };
  attempt(() => {
    const target = new LayerWriter(job.directory, IdMap.ofThisProcess(), job.owners);
    writer = target;
    const decoder = new TarDecoder({
      entry: (entry) => target.entry(entry),
      data: (bytes) => target.data(bytes),
      hole: (size) => target.hole(size),
      end: () => undefined,
    });
    receive = (message) =>
      attempt(() => {
        if (message.type === 'abort') throw aborted;
        if (message.type === 'chunk') {
          tarSize += message.bytes.byteLength;
          decoder.push(message.bytes);
          const { buffer } = message.bytes;
          if (buffer instanceof ArrayBuffer) send({ type: 'credit', buffer }, [buffer]);
          else send({ type: 'credit' });
        } else if (message.type === 'end') {
          decoder.finish();
          const output = { ...target.end(), tarSize };
          receive = () => undefined;
          target.close();
          send({ type: 'done', output });
        }
      });
  });
}

function startUnpack(job: JobOf<'unpack'>, line: MessagePort): void {
  const feed = new FileFeed(job.file.path);
  line.on('message', (message: ToWorker) => {
    if (message.type === 'grown') feed.grown(message.size);
    if (message.type === 'end') feed.end();
    if (message.type === 'abort') feed.fail(aborted);
  });
  unpackFile(job, feed)
    .then((output): FromWorker => ({ type: 'done', output }))
    .catch((error: unknown) => failed(job, error))
    .then((outcome) => {
      line.postMessage(outcome);
      line.close();
    });
}

async function streamTar(job: JobOf<'tar'>): Promise<void> {
  let onTheWay = 0;
  let isAborted = false;
  let wake: () => void = () => undefined;
  receive = (message) => {
    if (message.type === 'credit') onTheWay--;
    if (message.type === 'abort') isAborted = true;
    wake();
  };
  for (const bytes of tarOfLayer(job.layer)) {
    // Every chunk is a buffer of its own, made with allocUnsafeSlow: it may be given away.
    send({ type: 'chunk', bytes }, bytes.buffer instanceof ArrayBuffer ? [bytes.buffer] : []);
    onTheWay++;
    while (onTheWay >= CHUNKS_ON_THE_WAY && !isAborted) await new Promise<void>((resolve) => (wake = resolve));
    if (isAborted) throw aborted;
  }
  send({ type: 'done', output: undefined });
}
