import { createServer, type Server, Socket } from 'node:net';

/** One published port: connections to `fd`, a listening socket of the host, go to `port` of the network namespace. */
export interface ProxiedPort {
  readonly fd: number;
  readonly port: number;
}

/** A program needs a moment until it listens; whoever connects meanwhile waits instead of being refused. */
const PATIENCE_MS = 5000;
const RETRY_MS = 50;
/** What a program that listens on its own loopback may have chosen. */
const ADDRESSES = ['127.0.0.1', '::1'] as const;

/**
 * Serves published ports in a thread that has joined the network namespace: a socket belongs to the namespace of the thread
 * that makes it, so what connects from here arrives inside, while the listening sockets are those of the host. Needs no
 * tunnel device, and works where the namespace has nothing but lo.
 */
export function serveProxy(ports: readonly ProxiedPort[]): readonly Server[] {
  const patientUntil = Date.now() + PATIENCE_MS;
  return ports.map(({ fd, port }) => {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (outer) => {
      connect(port, patientUntil).then(
        (inner) => join(outer, inner),
        () => outer.resetAndDestroy(),
      );
      outer.on('error', () => outer.destroy());
    });
    return server.listen({ fd });
  });
}

async function connect(port: number, patientUntil: number): Promise<Socket> {
  for (;;) {
    for (const host of ADDRESSES) {
      const socket = await attempt(host, port);
      if (socket !== undefined) return socket;
    }
    if (Date.now() > patientUntil) throw new Error(`Nothing listens on port ${port}`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** undefined: nobody listens there. */
function attempt(host: string, port: number): Promise<Socket | undefined> {
  const socket = new Socket({ allowHalfOpen: true });
  return new Promise((resolve) => {
    socket.once('error', () => resolve(undefined));
    socket.connect({ host, port }, () => resolve(socket));
  });
}

/** Each side's end is passed on by itself; an error of one side is the end of both. */
function join(outer: Socket, inner: Socket): void {
  if (outer.destroyed) {
    inner.destroy();
    return;
  }
  for (const [from, to] of [
    [outer, inner],
    [inner, outer],
  ] as const) {
    from.on('error', () => {
      from.destroy();
      to.resetAndDestroy();
    });
    from.pipe(to);
  }
  outer.resume();
}
