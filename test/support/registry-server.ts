import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';

/**
 * A registry in memory, for tests: the distribution protocol as far as a client of container images uses it, an account
 * of every request, and faults on demand.
 */
export interface RegistryServerOptions {
  readonly auth?: {
    readonly kind: 'basic' | 'bearer';
    readonly username: string;
    readonly password: string;
    /** Accepted by the token server's refresh_token grant. */
    readonly identityToken?: string;
    /** Bearer only: tokens for nobody, with pull scope. */
    readonly anonymousPull?: boolean;
    /** Seconds; default 300. */
    readonly expiresIn?: number;
    /** The token server answers this to GET. */
    readonly getStatus?: number;
    /** Instead of our own `/token`. */
    readonly realm?: string;
  };
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Asked before each request is served; `nth` counts, from 1, the requests of this method and path (without query). */
  readonly fault?: (request: RecordedRequest, nth: number) => Fault | undefined;
  /** Added to every answer. */
  readonly headers?: Readonly<Record<string, string>>;
}

export type Fault =
  /** Answer at once; the request's body is read and dropped. */
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  /** Serve, but cut the connection after so many bytes of the body (0: before the headers). */
  | { readonly dropAfter: number }
  /** Serve with this body instead. */
  | { readonly body: Buffer };

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Filled in when the body has come. */
  body: Buffer;
}

export interface RegistryServer {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** `127.0.0.1:PORT`: the registry part of a reference. */
  readonly host: string;
  readonly requests: RecordedRequest[];
  readonly blobs: Map<string, Buffer>;
  /** `repository:tag` and `repository@digest`. */
  readonly manifests: Map<string, { readonly type: string; readonly body: Buffer }>;
  /** `repository` of each blob that was uploaded or mounted, as `repository@digest`. */
  readonly linked: Set<string>;
  addBlob(repository: string, content: Buffer | string): { readonly digest: string; readonly size: number };
  addManifest(repository: string, tag: string, document: object): { readonly digest: string; readonly size: number };
  /** `METHOD /path` of each request, tokens included. */
  log(): string[];
  close(): Promise<void>;
}

const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const sessionPath = (repository: string, id: string): string => `/v2/${repository}/blobs/uploads/${id}?_state=a%2Bb%3D`;

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

const json = (status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: Buffer.from(JSON.stringify(value)),
});

const specError = (status: number, code: string, headers?: Readonly<Record<string, string>>): Answer =>
  json(status, { errors: [{ code, message: `${code.toLowerCase()} message` }] }, headers);

class RegistryState {
  readonly requests: RecordedRequest[] = [];
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, { readonly type: string; readonly body: Buffer }>();
  readonly linked = new Set<string>();
  /** What each session got by PATCH. */
  readonly uploads = new Map<string, Buffer>();
  readonly tokens = new Map<string, string>();
  readonly options: RegistryServerOptions;
  url = '';
  #serial = 0;

  constructor(options: RegistryServerOptions) {
    this.options = options;
  }

  answer(request: RecordedRequest): Answer {
    if (request.path === '/token') return this.#token(request);
    const refused = this.#authorize(request);
    if (refused !== undefined) return refused;
    if (request.path === '/v2/') return json(200, {});
    const match = /^\/v2\/(.+)\/(manifests|blobs\/uploads|blobs)\/(.*)$/.exec(request.path);
    if (match === null) return specError(404, 'NAME_UNKNOWN');
    const [, repository = '', kind, rest = ''] = match;
    if (kind === 'manifests') return this.#manifest(request, repository, rest);
    if (kind === 'blobs') return this.#blob(request, repository, rest);
    return this.#upload(request, repository, rest);
  }

  #manifest(request: RecordedRequest, repository: string, reference: string): Answer {
    const key = `${repository}${reference.startsWith('sha256:') ? '@' : ':'}${reference}`;
    if (request.method === 'PUT') {
      const type = request.headers['content-type'] ?? '';
      const digest = digestOf(request.body);
      this.manifests.set(key, { type, body: request.body });
      this.manifests.set(`${repository}@${digest}`, { type, body: request.body });
      return { status: 201, headers: { 'docker-content-digest': digest, location: request.path } };
    }
    const found = this.manifests.get(key);
    if (found === undefined) return specError(404, 'MANIFEST_UNKNOWN');
    const headers = { 'content-type': found.type, 'docker-content-digest': digestOf(found.body) };
    return { status: 200, headers, body: found.body };
  }

  #blob(request: RecordedRequest, repository: string, digest: string): Answer {
    const body = this.blobs.get(digest);
    if (body === undefined || !this.linked.has(`${repository}@${digest}`)) return specError(404, 'BLOB_UNKNOWN');
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (from === 0) return { status: 200, body };
    const headers = { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` };
    return { status: 206, headers, body: body.subarray(from) };
  }

  #upload(request: RecordedRequest, repository: string, id: string): Answer {
    if (request.method === 'POST') return this.#openUpload(request, repository);
    const body = Buffer.concat([this.uploads.get(id) ?? Buffer.alloc(0), request.body]);
    if (request.method === 'PATCH' && this.uploads.has(id)) {
      this.uploads.set(id, body);
      return { status: 202, headers: { location: sessionPath(repository, id) } };
    }
    if (request.method !== 'PUT' || !this.uploads.delete(id)) return specError(404, 'BLOB_UPLOAD_UNKNOWN');
    const digest = digestOf(body);
    if (request.query.get('digest') !== digest) return specError(400, 'DIGEST_INVALID');
    this.blobs.set(digest, body);
    this.linked.add(`${repository}@${digest}`);
    return { status: 201, headers: { 'docker-content-digest': digest } };
  }

  #openUpload(request: RecordedRequest, repository: string): Answer {
    const mount = request.query.get('mount');
    if (mount !== null && this.linked.has(`${request.query.get('from')}@${mount}`)) {
      this.linked.add(`${repository}@${mount}`);
      return { status: 201, headers: { 'docker-content-digest': mount } };
    }
    const id = `session-${++this.#serial}`;
    this.uploads.set(id, Buffer.alloc(0));
    return { status: 202, headers: { location: sessionPath(repository, id) } };
  }

  #basic(request: RecordedRequest): boolean {
    const { username, password } = this.options.auth ?? {};
    const expected = Buffer.from(`${username}:${password}`).toString('base64');
    return request.headers.authorization === `Basic ${expected}`;
  }

  #authorize(request: RecordedRequest): Answer | undefined {
    const { auth } = this.options;
    if (auth === undefined) return undefined;
    if (auth.kind === 'basic') {
      if (this.#basic(request)) return undefined;
      return specError(401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="test"' });
    }
    const granted = this.tokens.get(request.headers.authorization?.replace(/^Bearer /, '') ?? '');
    const repository = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(request.path)?.[1];
    const action = request.method === 'GET' || request.method === 'HEAD' ? 'pull' : 'push';
    const from = request.query.get('from');
    const wanted = [
      ...(repository === undefined ? [] : [`repository:${repository}:${action === 'push' ? 'pull,push' : 'pull'}`]),
      ...(from === null ? [] : [`repository:${from}:pull`]),
    ];
    const has = (scope: string): boolean =>
      (granted ?? '').split(' ').some((one) => one === scope || one === scope.replace(/:pull$/, ':pull,push'));
    if (granted !== undefined && wanted.every(has)) return undefined;
    const realm = auth.realm ?? `${this.url}/token`;
    const error = granted === undefined ? '' : ',error="insufficient_scope"';
    const challenge = `Bearer realm="${realm}",service="test",scope="${wanted.join(' ')}"${error}`;
    return specError(401, 'UNAUTHORIZED', { 'www-authenticate': challenge });
  }

  #token(request: RecordedRequest): Answer {
    const { auth } = this.options;
    const form = new URLSearchParams(request.body.toString());
    if (request.method === 'GET' && auth?.getStatus !== undefined) return specError(auth.getStatus, 'UNSUPPORTED');
    const known =
      request.method === 'GET'
        ? this.#basic(request)
        : form.get('refresh_token') === (auth?.identityToken ?? null) && auth?.identityToken !== undefined
          ? true
          : form.get('password') === auth?.password && form.get('username') === auth?.username;
    const nobody = request.headers.authorization === undefined && auth?.anonymousPull === true;
    if (!known && !nobody) return specError(401, 'UNAUTHORIZED');
    const scopes = request.method === 'GET' ? request.query.getAll('scope').join(' ') : (form.get('scope') ?? '');
    const token = `token-${++this.#serial}`;
    this.tokens.set(token, known ? scopes : scopes.replaceAll('pull,push', 'pull'));
    return json(200, { token, expires_in: auth?.expiresIn ?? 300 });
  }
}

function send(response: ServerResponse, answer: Answer, head: boolean, dropAfter: number | undefined): void {
  if (dropAfter === 0) {
    response.destroy();
    return;
  }
  const body = answer.body ?? Buffer.alloc(0);
  response.writeHead(answer.status, { ...answer.headers, 'content-length': String(body.length) });
  if (head) response.end();
  else if (dropAfter === undefined) response.end(body);
  else response.write(body.subarray(0, dropAfter), () => setTimeout(() => response.destroy(), 20));
}

function record(message: IncomingMessage): RecordedRequest {
  const url = new URL(message.url ?? '/', 'http://localhost');
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(message.headers)) headers[name] = String(value);
  const method = message.method ?? 'GET';
  return { method, path: url.pathname, query: url.searchParams, headers, body: Buffer.alloc(0) };
}

async function serve(state: RegistryState, message: IncomingMessage, response: ServerResponse): Promise<void> {
  const request = record(message);
  state.requests.push(request);
  const nth = state.requests.filter(({ method, path }) => method === request.method && path === request.path).length;
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk);
  request.body = Buffer.concat(chunks);
  const fault = state.options.fault?.(request, nth);
  const shared = state.options.headers;
  if (fault !== undefined && 'status' in fault) {
    const { status, headers, body = '' } = fault;
    send(response, { status, headers: { ...shared, ...headers }, body: Buffer.from(body) }, false, undefined);
    return;
  }
  const answer = state.answer(request);
  const body = fault !== undefined && 'body' in fault ? { body: fault.body } : {};
  const dropAfter = fault !== undefined && 'dropAfter' in fault ? fault.dropAfter : undefined;
  send(
    response,
    { ...answer, ...body, headers: { ...shared, ...answer.headers } },
    request.method === 'HEAD',
    dropAfter,
  );
}

/** Listens on a free port of 127.0.0.1. Close it at the end of the test. */
export async function startRegistry(options: RegistryServerOptions = {}): Promise<RegistryServer> {
  const state = new RegistryState(options);
  const handler = (message: IncomingMessage, response: ServerResponse): void => {
    serve(state, message, response).catch(() => response.destroy());
  };
  const server = options.tls === undefined ? createServer(handler) : createTlsServer(options.tls, handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  const host = `127.0.0.1:${port}`;
  state.url = `${options.tls === undefined ? 'http' : 'https'}://${host}`;
  const { requests, blobs, manifests, linked, url } = state;
  return {
    url,
    host,
    requests,
    blobs,
    manifests,
    linked,
    addBlob(repository, content) {
      const bytes = Buffer.from(content);
      const digest = digestOf(bytes);
      blobs.set(digest, bytes);
      linked.add(`${repository}@${digest}`);
      return { digest, size: bytes.length };
    },
    addManifest(repository, tag, document) {
      const body = Buffer.from(JSON.stringify(document));
      const type = 'mediaType' in document ? String(document.mediaType) : 'application/vnd.oci.image.manifest.v1+json';
      const digest = digestOf(body);
      manifests.set(`${repository}:${tag}`, { type, body });
      manifests.set(`${repository}@${digest}`, { type, body });
      return { digest, size: body.length };
    },
    log: () => requests.map(({ method, path }) => `${method} ${path}`),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Starts registries that end with the test; to be called once a file. */
export function registriesOfTests(): typeof startRegistry {
  const servers: RegistryServer[] = [];
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()));
  });
  return async (options) => {
    const server = await startRegistry(options);
    servers.push(server);
    return server;
  };
}
