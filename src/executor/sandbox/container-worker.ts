// Entry of the threads that join a running container: each goes into its namespaces, so it serves once.
import { parentPort } from 'node:worker_threads';
import { type JoinOrder, type JoinReport, runInside } from './join-thread.ts';
import { type ProxiedPort, serveProxy } from './network/port-proxy.ts';
import { enterOwn } from './process-calls.ts';
import { CLONE } from './syscalls.ts';

export type ContainerOrder =
  /** `network`: its open /proc/PID/ns/net. Answered by `JoinReport` ready, or by an error. */
  | { readonly kind: 'proxy'; readonly network: number; readonly ports: readonly ProxiedPort[] }
  | ({ readonly kind: 'join' } & JoinOrder);

parentPort?.once('message', (order: ContainerOrder) => {
  const port = parentPort;
  const report = (message: JoinReport | { readonly kind: 'ready' }) => port?.postMessage(message);
  switch (order.kind) {
    case 'proxy':
      enterOwn(order.network, CLONE.net);
      serveProxy(order.ports);
      report({ kind: 'ready' });
      return;
    case 'join':
      runInside(order, report).finally(() => port?.close());
      return;
    default:
      order satisfies never;
  }
});
