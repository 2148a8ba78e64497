// Entry of the thread that runs one step: the thread changes its own namespaces, so it serves once. A step with limits has
// a process for itself, which begins here, too: its main thread starts that thread and passes the messages on.
import { isMainThread, type MessagePort, parentPort, Worker, workerData } from 'node:worker_threads';
import { Recorder, SUPERVISOR, serveSupervisor } from './recorded/index.ts';
import type { StepOrder, StepReport } from './step-order.ts';
import { runStep } from './step-thread.ts';
import { closeAllOnExec, dieWithParent } from './syscalls.ts';

if (isMainThread) relay();
else if (workerData?.role === SUPERVISOR) serveSupervisor();
else if (parentPort !== null) serve(parentPort);

function serve(port: MessagePort): void {
  port.once('message', (order: StepOrder) => {
    const report = (message: StepReport) => port.postMessage(message);
    const recorder = order.owners === 'recorded' ? new Recorder(new URL(import.meta.url)) : undefined;
    runStep(order, report, recorder).finally(() => port.close());
  });
}

function relay(): void {
  dieWithParent();
  closeAllOnExec();
  const worker = new Worker(new URL(import.meta.url), { env: {}, stdin: false, trackUnmanagedFds: false });
  process.once('message', (order) => worker.postMessage(order));
  worker.on('message', (report) => process.send?.(report));
  worker.once('exit', () => process.disconnect());
  process.once('disconnect', () => void worker.terminate());
}
