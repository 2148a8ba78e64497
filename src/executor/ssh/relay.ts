import { connect, createServer, type Socket } from 'node:net';
import { BuildError } from '../../errors.ts';

export interface Relay {
  close(): Promise<void>;
}

/**
 * Passes what comes to the socket `path` on to the one at `agent`. A step's own connection would not do: its user may not
 * open the agent's socket, and an agent answers its own user only (ssh-agent looks at SO_PEERCRED).
 */
export async function openRelay(path: string, agent: string): Promise<Relay> {
  const open = new Set<Socket>();
  const follow = (socket: Socket, other: Socket): void => {
    open.add(socket);
    socket.on('error', () => other.destroy());
    socket.once('close', () => {
      open.delete(socket);
      other.destroy();
    });
  };
  const server = createServer((client) => {
    const upstream = connect(agent);
    follow(client, upstream);
    follow(upstream, client);
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new BuildError('E_SANDBOX', 'Cannot make a socket for the ssh agent', { cause })),
    );
    server.listen(path, resolve);
  });
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}
