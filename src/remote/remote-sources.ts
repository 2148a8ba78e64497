import { writeFileSync } from 'node:fs';
import type { EventSink } from '../events.ts';
import { type Clock, DEFAULT_TIMEOUTS, HttpClient, type ProxySettings, systemClock, Transport } from '../http/index.ts';
import type { Json } from '../oci/index.ts';
import { Git, type GitRemote } from './git.ts';
import { fetchTree, type GitTree } from './git-tree.ts';
import { fetchFile, type HttpFile } from './http-file.ts';
import { Kept, type KeptOptions, keyOf } from './kept.ts';

export interface RemoteOptions extends KeptOptions {
  readonly proxy: ProxySettings;
  readonly userAgent: string;
  /** PEM, trusted beside the built-in ones. */
  readonly caCertificates?: readonly string[] | undefined;
  /** The caller's environment; git sees a part of it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly emit: EventSink;
  readonly signal: AbortSignal;
  /** The value of an Authorization header for a host and use; absent: what a URL itself says. */
  readonly authorization?: ((url: URL, use: 'http' | 'git') => string | undefined) | undefined;
  /** What `handOver` gave to the process before: those sources are not asked for again. */
  readonly fetched?: string | undefined;
  readonly clock?: Clock | undefined;
}

/** Fetches each source once. The answers are directories on this machine, to be read only. */
export interface RemoteSources {
  /** A directory that holds just the file. See `fetchFile` for errors. */
  file(source: HttpFile): Promise<string>;
  /** The files of a commit. See `fetchTree` for errors. */
  tree(source: GitTree): Promise<string>;
  /** A directory that `make` fills from what was fetched; kept as that is, under these facts. */
  derive(facts: Json, make: (directory: string) => Promise<void>): Promise<string>;
  /** What was fetched so far, as text for an environment variable. */
  handOver(): string;
}

/** execve(2): no variable is longer than 128 KiB. What does not fit is asked for again. */
const MAX_HANDED_OVER = 100_000;

/** Loads nothing and connects to nothing until it is used. */
export const createRemoteSources = (options: RemoteOptions): RemoteSources => new FetchedSources(options);

class FetchedSources implements RemoteSources {
  readonly #options: RemoteOptions;
  readonly #transport: Transport;
  readonly #kept: Kept;
  readonly #started = new Map<string, Promise<string>>();
  readonly #done = new Map<string, string>();

  constructor(options: RemoteOptions) {
    const { proxy, userAgent, caCertificates = [], clock = systemClock } = options;
    this.#options = options;
    const http = new HttpClient({ tlsVerify: true, caCertificates, proxy, userAgent, timeouts: DEFAULT_TIMEOUTS });
    this.#transport = new Transport(http, clock);
    this.#kept = new Kept(options);
    for (const [key, directory] of parseHandedOver(options.fetched)) {
      this.#done.set(key, directory);
      this.#started.set(key, Promise.resolve(directory));
    }
  }

  file({ url, name, checksum }: HttpFile): Promise<string> {
    const { emit, signal, authorization } = this.#options;
    const parts = {
      transport: this.#transport,
      kept: this.#kept,
      emit,
      signal,
      authorization: (asked: URL) => authorization?.(asked, 'http'),
    };
    const key = { kind: 'http', url, name, checksum: checksum ?? null };
    return this.#once(keyOf(key), () => fetchFile({ url, name, checksum }, parts));
  }

  tree({ url, ref, subdir, keepGitDir, submodules, checksum }: GitTree): Promise<string> {
    const tree = { url, ref, subdir, keepGitDir, submodules, checksum };
    const { clock = systemClock, signal, emit, authorization } = this.#options;
    return this.#once(keyOf({ kind: 'git', ...nullable(tree) }), async () => {
      // not before it is needed: what holds the credential may be a pipe, and inside the namespace it is gone
      const remote = remoteOf(url, (asked) => authorization?.(asked, 'git'));
      const onRetry = (note: string): void => emit({ type: 'info', message: note });
      const env = await this.#gitEnvironment();
      const git = new Git(remote, { env, clock, signal, onRetry });
      emit({ type: 'debug', scope: 'git', message: `fetching "${remote.shown}"` });
      return fetchTree(tree, git, this.#kept);
    });
  }

  /** git takes one file that stands in for what it would trust itself. */
  async #gitEnvironment(): Promise<RemoteOptions['env']> {
    const { env, caCertificates = [], temporary } = this.#options;
    if (caCertificates.length === 0 || env.GIT_SSL_CAINFO !== undefined) return env;
    const { rootCertificates } = await import('node:tls');
    const bundle = temporary();
    writeFileSync(bundle, [...rootCertificates, ...caCertificates].join('\n'));
    return { ...env, GIT_SSL_CAINFO: bundle };
  }

  derive(facts: Json, make: (directory: string) => Promise<void>): Promise<string> {
    const key = keyOf({ kind: 'derived', facts });
    return this.#once(key, async () => {
      const known = this.#kept.find(key);
      if (known !== undefined) return known;
      return this.#kept.add(async (directory) => {
        await make(directory);
        return key;
      });
    });
  }

  handOver(): string {
    const text = JSON.stringify(Object.fromEntries(this.#done));
    return text.length > MAX_HANDED_OVER ? '' : text;
  }

  #once(key: string, fetch: () => Promise<string>): Promise<string> {
    let promise = this.#started.get(key);
    if (promise === undefined) {
      promise = fetch().then((directory) => {
        this.#done.set(key, directory);
        return directory;
      });
      this.#started.set(key, promise);
    }
    return promise;
  }
}

const nullable = (
  facts: Readonly<Record<string, string | boolean | undefined>>,
): Record<string, string | boolean | null> =>
  Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, value ?? null]));

function parseHandedOver(text: string | undefined): readonly (readonly [string, string])[] {
  if (text === undefined || text === '') return [];
  const directories: Readonly<Record<string, unknown>> = JSON.parse(text);
  return Object.entries(directories).map(([key, directory]) => [key, String(directory)]);
}

/** Takes the user and password out of an http URL, for a header instead. */
function remoteOf(url: string, authorization: (url: URL) => string | undefined): GitRemote {
  if (!/^https?:/i.test(url)) return { url, shown: url.replace(/^(ssh:\/\/[^/@:]*):[^/@]*@/i, '$1:xxxxx@') };
  const clean = new URL(url);
  const { username, password } = clean;
  clean.username = '';
  clean.password = '';
  const own =
    username === '' && password === ''
      ? authorization(clean)
      : `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`;
  return { url: clean.href, shown: clean.href, authorization: own };
}
