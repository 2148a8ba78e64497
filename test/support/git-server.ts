import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { requires } from './requires.ts';
import { tempDir } from './temp-dir.ts';

/** Whether the program git and its server side are here. */
export const hasGit = (): boolean => requires('git (the package "git")', isThere());

function isThere(): boolean {
  try {
    return existsSync(join(execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim(), 'git-http-backend'));
  } catch {
    return false;
  }
}

/** The same commit ids on every machine. */
const ENV = {
  PATH: process.env.PATH ?? '',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Test',
  GIT_AUTHOR_EMAIL: 'test@example.org',
  GIT_COMMITTER_NAME: 'Test',
  GIT_COMMITTER_EMAIL: 'test@example.org',
  GIT_AUTHOR_DATE: '2020-02-02T02:02:02Z',
  GIT_COMMITTER_DATE: '2020-02-02T02:02:02Z',
};

/** Seconds: when every commit here was made. */
export const COMMIT_TIME = Date.UTC(2020, 1, 2, 2, 2, 2) / 1000;

/** A repository with a work tree, to be made as a user makes it. */
export interface TestRepository {
  readonly directory: string;
  /** Runs git in it; what it prints, trimmed. */
  git(...args: readonly string[]): string;
  /** Commits everything that is there, and tells the commit. */
  commit(): string;
}

export interface GitServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Paths of the requests, with their queries. */
  readonly requests: string[];
  /** Headers of the last request. */
  headers: IncomingMessage['headers'];
  /** A new repository, served as `URL/NAME.git`. */
  repository(name: string): TestRepository;
}

export interface GitServerOptions {
  /** `NAME:PASSWORD` that is asked for. */
  readonly login?: string;
}

/** Repositories over git's smart http protocol, by git's own server program. Ends with the test. */
export async function serveGit({ login }: GitServerOptions = {}): Promise<GitServer> {
  const root = tempDir();
  const state: { headers: IncomingMessage['headers'] } = { headers: {} };
  const requests: string[] = [];
  const server = createServer((message, response) => {
    requests.push(message.url ?? '');
    state.headers = message.headers;
    const expected = login === undefined ? undefined : `Basic ${Buffer.from(login).toString('base64')}`;
    if (expected !== undefined && message.headers.authorization !== expected) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
    } else runBackend(root, message, response);
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
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    get headers() {
      return state.headers;
    },
    repository: (name) => makeRepository(join(root, `${name}.git`)),
  };
}

function makeRepository(directory: string): TestRepository {
  mkdirSync(dirname(directory), { recursive: true });
  const run = (args: readonly string[]): string =>
    execFileSync('git', args, { env: ENV, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  run(['init', '-q', '-b', 'main', directory]);
  const git = (...args: readonly string[]): string => run(['-C', directory, ...args]);
  return {
    directory,
    git,
    commit() {
      git('add', '-A');
      git('commit', '-q', '--allow-empty', '-m', 'A change');
      return git('rev-parse', 'HEAD');
    },
  };
}

/** CGI (RFC 3875). */
function runBackend(root: string, message: IncomingMessage, response: ServerResponse): void {
  const url = new URL(message.url ?? '/', 'http://localhost');
  const {
    'content-type': type = '',
    'content-encoding': encoding = '',
    'git-protocol': protocol = '',
  } = message.headers;
  const child = spawn('git', ['http-backend'], {
    env: {
      ...ENV,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: String(protocol),
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      PATH_INFO: repositoryPath(url.pathname),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: message.method ?? 'GET',
      CONTENT_TYPE: type,
      HTTP_CONTENT_ENCODING: encoding,
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => {});
  message.pipe(child.stdin);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.once('close', () => answer(Buffer.concat(chunks), response));
}

/** The repositories have work trees: what is served lies below `.git`. */
const repositoryPath = (path: string): string => path.replace(/\.git(?=\/)/, '.git/.git');

function answer(output: Buffer, response: ServerResponse): void {
  const end = output.indexOf('\r\n\r\n');
  const headers = new Map(
    output
      .subarray(0, Math.max(0, end))
      .toString()
      .split('\r\n')
      .map((line) => [line.split(':', 1)[0]?.toLowerCase() ?? '', line.replace(/^[^:]*:\s*/, '')]),
  );
  const status = Number.parseInt(headers.get('status') ?? (end < 0 ? '500' : '200'), 10);
  headers.delete('status');
  response.writeHead(status, Object.fromEntries(headers));
  response.end(output.subarray(end + 4));
}
