// Entry of the threads that run steps: one serves many (`step-server.ts`), or changes itself for good and serves once. A step
// with limits has a process for itself, which begins here, too: its main thread starts that thread and passes the messages on.
import { isMainThread, type MessagePort, parentPort, type Worker, workerData } from 'node:worker_threads';
import { endThread, startThread } from '../../layers/index.ts';
import { type ChrootOrder, runChrootStep, superviseStep } from './chroot-step.ts';
import { Recorder, SUPERVISOR, serveSupervisor } from './recorded/index.ts';
import { SERVER, type ServedOrder, type ServedReport, type StepOrder, type StepReport } from './step-order.ts';
import { StepServer } from './step-server.ts';
import { runStep } from './step-thread.ts';
import { closeAllOnExec, dieWithParent } from './syscalls.ts';

if (isMainThread) relay();
else if (workerData?.role === SUPERVISOR) serveSupervisor();
else if (workerData?.role === SERVER && parentPort !== null) serveSteps(parentPort);
else if (parentPort !== null) serve(parentPort);

const recorderOf = ({ owners }: StepOrder): Recorder | undefined =>
  owners === 'recorded' ? new Recorder(new URL(import.meta.url)) : undefined;

function serve(port: MessagePort): void {
  port.once('message', (order: StepOrder | ChrootOrder) => {
    const report = (message: StepReport) => port.postMessage(message);
    const step = 'isolation' in order ? runChrootStep(order, report) : runStep(order, report, recorderOf(order));
    step.finally(() => port.close());
  });
}

function serveSteps(port: MessagePort): void {
  const server = new StepServer();
  port.on('message', ({ id, order }: ServedOrder) => {
    const step = server.run(order, (report) => port.postMessage({ id, report } satisfies ServedReport));
    // as for a thread that ends without a word: the steps of it fail
    step.catch((error: unknown) => {
      port.close();
      throw error;
    });
  });
}

function relay(): void {
  dieWithParent();
  closeAllOnExec();
  const worker = startThread(new URL(import.meta.url), { env: {}, stdin: false, trackUnmanagedFds: false });
  process.once('message', (order: StepOrder | ChrootOrder) => {
    if ('isolation' in order) void superviseStep(order, worker);
    else passOn(order, worker);
  });
}

function passOn(order: StepOrder, worker: Worker): void {
  let sent = Promise.resolve();
  worker.on('message', (report) => {
    sent = new Promise((resolve) => process.send?.(report, () => resolve()));
  });
  // what is not sent yet would be lost
  worker.once('exit', () => void sent.then(() => process.connected && process.disconnect()));
  process.once('disconnect', () => void endThread(worker));
  worker.postMessage(order);
}
