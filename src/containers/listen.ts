import { createServer, type Server } from 'node:net';
import { BuildError, systemErrorCode } from '../errors.ts';
import { formatPort, type PublishedPort } from './publish.ts';

export interface Listening {
  readonly servers: readonly Server[];
  /** With the numbers that were free where any would do. */
  readonly ports: readonly PublishedPort[];
}

/**
 * Takes the ports of this machine before anything of the container is made. They are served by the container's monitor, which
 * lives in a user namespace and may therefore not take those below 1024 itself. Throws `E_PORT`.
 */
export async function listenOn(wanted: readonly PublishedPort[]): Promise<Listening> {
  const servers: Server[] = [];
  try {
    const ports: PublishedPort[] = [];
    for (const port of wanted) {
      const server = await listen(port);
      servers.push(server);
      const bound = server.address();
      ports.push({ ...port, hostPort: typeof bound === 'object' && bound !== null ? bound.port : port.hostPort });
    }
    return { servers, ports };
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
}

function listen(port: PublishedPort): Promise<Server> {
  const { address, hostPort } = port;
  // who comes before the container does is turned away, as one who came before us
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(refused(port, cause)));
    server.listen({ port: hostPort, ...(address === undefined ? {} : { host: address }) }, () => resolve(server));
  });
}

function refused(port: PublishedPort, cause: unknown): BuildError {
  const { hostPort, containerPort, address } = port;
  const explain = (reason: string, hint: string) =>
    new BuildError('E_PORT', `Cannot publish ${formatPort(port)}: ${reason}`, {
      hint,
      cause,
      fields: { port: hostPort },
    });
  switch (systemErrorCode(cause)) {
    case 'EADDRINUSE':
      return explain(
        `port ${hostPort} of this machine is taken`,
        `End what uses it ("ss -ltnp sport = :${hostPort}" shows it), or take another port: -p ${hostPort + 1}:${containerPort}`,
      );
    case 'EACCES':
      return explain(
        `this user may not take port ${hostPort}`,
        `Take one above 1023, e.g. -p ${hostPort + 8000}:${containerPort}; or, as root: sysctl net.ipv4.ip_unprivileged_port_start=${hostPort}`,
      );
    case 'EADDRNOTAVAIL':
      return explain(`"${address}" is no address of this machine`, 'See its addresses with "ip address"');
    default:
      return explain(systemErrorCode(cause) ?? 'error', 'Take another port or address');
  }
}
