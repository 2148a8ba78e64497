import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Served {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** The connection breaks after so many bytes of the body. */
  readonly dropAfter?: number;
  /** Milliseconds between two halves of the body. */
  readonly pause?: number;
}

export interface ServedRequest {
  readonly method: string;
  /** With its query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

/** What a path answers: always the same, or by the request and its number (1 for the first to this path). */
export type Answer = Served | ((request: ServedRequest, nth: number) => Served);

export interface FileServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** By path, without the query. May be changed at any time. */
  readonly answers: Map<string, Answer>;
  readonly requests: ServedRequest[];
}

/** A web server of a test's own on a free port; answers 404 for what it does not know. Ends with the test. */
export async function serveFiles(answers: Readonly<Record<string, Answer>>): Promise<FileServer> {
  const known = new Map(Object.entries(answers));
  const requests: ServedRequest[] = [];
  const server = createServer((message, response) => {
    const request = { method: message.method ?? '', url: message.url ?? '/', headers: message.headers };
    requests.push(request);
    const path = pathOf(request.url);
    const nth = requests.filter(({ url }) => pathOf(url) === path).length;
    const answer = known.get(path) ?? { status: 404, body: 'not here' };
    send(response, typeof answer === 'function' ? answer(request, nth) : answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  return { url: `http://127.0.0.1:${port}`, answers: known, requests };
}

const pathOf = (url: string): string => url.split('?')[0] ?? '';

function send(response: ServerResponse, { status = 200, headers, body = '', dropAfter, pause }: Served): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, { ...(status === 304 ? {} : { 'content-length': String(bytes.length) }), ...headers });
  if (dropAfter !== undefined) {
    response.write(bytes.subarray(0, dropAfter), () => setTimeout(() => response.destroy(), 20));
  } else if (pause !== undefined) {
    const half = bytes.length >> 1;
    response.write(bytes.subarray(0, half));
    setTimeout(() => response.end(bytes.subarray(half)), pause);
  } else if (status === 304) response.end();
  else response.end(bytes);
}
