// Entry of the thread that runs one step: the thread changes its own namespaces, so it serves once.
import { parentPort } from 'node:worker_threads';
import type { StepOrder, StepReport } from './step-order.ts';
import { runStep } from './step-thread.ts';

const port = parentPort;
if (port === null) throw new Error('This file is the entry of a worker thread');
port.once('message', (order: StepOrder) => {
  const report = (message: StepReport) => port.postMessage(message);
  runStep(order, report).finally(() => port.close());
});
