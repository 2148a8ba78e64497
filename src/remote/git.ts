import { spawn } from 'node:child_process';
import { BuildError, systemErrorCode } from '../errors.ts';
import { type Clock, retryDelay } from '../http/index.ts';
import { gitFailure } from './git-failures.ts';

/** The caller's variables that git and ssh may see: who the user is, how he reaches the network, his credentials. */
const PASSED =
  /^(?:PATH|HOME|USER|LOGNAME|XDG_CONFIG_HOME|XDG_CACHE_HOME|XDG_RUNTIME_DIR|SSH_AUTH_SOCK|GIT_SSH|GIT_SSH_COMMAND|GIT_ASKPASS|GIT_SSL_\w+|SSL_CERT_FILE|SSL_CERT_DIR|GIT_CONFIG_GLOBAL|GIT_CONFIG_COUNT|GIT_CONFIG_(?:KEY|VALUE)_\d+|(?:https?|no|all)_proxy|(?:HTTPS?|NO|ALL)_PROXY)$/;

/**
 * A repository is data, and the same data on every machine: no hooks, no helpers that watch files, no conversions that a
 * user's configuration asks for (files of git-lfs stay the pointers that the repository holds). A transfer that stands
 * still for a minute is given up.
 */
const CONFIG: Readonly<Record<string, string>> = {
  'core.hooksPath': '/dev/null',
  'core.fsmonitor': 'false',
  'core.autocrlf': 'false',
  'core.symlinks': 'true',
  'core.fileMode': 'true',
  'core.attributesFile': '/dev/null',
  'core.logAllRefUpdates': 'false',
  'filter.lfs.smudge': '',
  'filter.lfs.process': '',
  'filter.lfs.required': 'false',
  'submodule.recurse': 'false',
  'submodule.fetchJobs': '4',
  'fetch.recurseSubmodules': 'false',
  'protocol.file.allow': 'never',
  'protocol.ext.allow': 'never',
  'init.defaultBranch': 'main',
  'advice.detachedHead': 'false',
  'gc.auto': '0',
  'maintenance.auto': 'false',
  'http.lowSpeedLimit': '1',
  'http.lowSpeedTime': '60',
};

/** A list of a million refs is below this. */
const MAX_OUTPUT_BYTES = 128 * 1024 * 1024;
const MAX_STDERR_BYTES = 64 * 1024;

export interface GitOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told before each wait. */
  readonly onRetry: (note: string) => void;
}

export interface GitRemote {
  /** As the user is told of it: without credentials. */
  readonly shown: string;
  /** Without user name and password where they are for http: git would show them to everybody in its arguments. */
  readonly url: string;
  /** The value of an Authorization header for the URL's host. */
  readonly authorization?: string | undefined;
}

/** The git program, for one repository. */
export class Git {
  readonly remote: GitRemote;
  readonly #options: GitOptions;

  constructor(remote: GitRemote, options: GitOptions) {
    this.remote = remote;
    this.#options = options;
  }

  /** What git prints. Throws `E_REMOTE`, and for what the other side says `E_NOT_FOUND`, `E_UNAUTHORIZED`, `E_UNAVAILABLE`. */
  async run(args: readonly string[], directory?: string): Promise<string> {
    const settings = Object.entries(CONFIG).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const place = directory === undefined ? [] : ['-C', directory];
    const { status, stdout, stderr } = await this.#spawn([...settings, ...place, ...args]);
    if (status === 0) return stdout;
    throw gitFailure(this.remote.shown, stderr, args[0] ?? '');
  }

  /** The same for what asks the network: again after a while where that may help. */
  async ask(args: readonly string[], directory?: string): Promise<string> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.run(args, directory);
      } catch (error) {
        const { clock, onRetry, signal } = this.#options;
        if (!(error instanceof BuildError) || error.code !== 'E_UNAVAILABLE') throw error;
        const wait = retryDelay({ tries, error }, clock);
        if (wait === undefined) throw error;
        onRetry(`${error.message}; next try in ${Math.max(1, Math.round(wait / 1000))} s`);
        await this.#pause(clock.sleep(wait, signal));
      }
    }
  }

  async #pause(slept: Promise<void>): Promise<void> {
    try {
      await slept;
    } catch (cause) {
      throw new BuildError('E_CANCELLED', 'Cancelled', { cause });
    }
  }

  #spawn(args: readonly string[]): Promise<{ status: number; stdout: string; stderr: string }> {
    const { signal } = this.#options;
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      // a session of its own: no terminal to ask on, and its helpers end with it
      const child = spawn('git', args, { env: this.#env(), stdio: ['ignore', 'pipe', 'pipe'], detached: true });
      const stop = (): void => endGroup(child.pid);
      signal.addEventListener('abort', stop, { once: true });
      const stdout: Buffer[] = [];
      let size = 0;
      let stderr = '';
      child.stdout.on('data', (chunk: Buffer) => {
        size += chunk.byteLength;
        if (size > MAX_OUTPUT_BYTES) stop();
        else stdout.push(chunk);
      });
      child.stderr.on('data', (chunk: Buffer) => {
        stderr = (stderr + chunk.toString('utf8')).slice(-MAX_STDERR_BYTES);
      });
      child.once('error', (cause) => {
        signal.removeEventListener('abort', stop);
        reject(this.#notStarted(cause));
      });
      child.once('close', (code) => {
        signal.removeEventListener('abort', stop);
        if (signal.aborted) reject(new BuildError('E_CANCELLED', 'Cancelled', { cause: signal.reason }));
        else resolve({ status: code ?? 1, stdout: Buffer.concat(stdout).toString('utf8'), stderr });
      });
    });
  }

  #notStarted(cause: Error): BuildError {
    const isMissing = systemErrorCode(cause) === 'ENOENT';
    const why = isMissing ? 'the program "git" is not installed' : `git cannot be started: ${cause.message}`;
    return new BuildError('E_REMOTE', `Cannot fetch "${this.remote.shown}": ${why}`, {
      hint: 'Install it, for example with "apt install git" or "apk add git"',
      cause,
    });
  }

  /** Credentials go by the environment: arguments are there for every user of the machine to read. */
  #env(): Record<string, string> {
    const passed = Object.entries(this.#options.env).filter(
      ([name, value]) => value !== undefined && PASSED.test(name),
    );
    const env: Record<string, string> = Object.fromEntries(passed.map(([name, value]) => [name, value ?? '']));
    Object.assign(env, {
      LC_ALL: 'C',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      SSH_ASKPASS_REQUIRE: 'never',
      GIT_ALLOW_PROTOCOL: 'http:https:git:ssh',
      GIT_ADVICE: '0',
      GIT_OPTIONAL_LOCKS: '0',
    });
    const { url, authorization } = this.remote;
    if (authorization === undefined) return env;
    const count = Number(env.GIT_CONFIG_COUNT ?? 0) || 0;
    const { origin } = new URL(url);
    return {
      ...env,
      GIT_CONFIG_COUNT: String(count + 2),
      [`GIT_CONFIG_KEY_${count}`]: `http.${origin}/.extraHeader`,
      [`GIT_CONFIG_VALUE_${count}`]: `Authorization: ${authorization}`,
      // git would send the header to wherever the first answer leads, too
      [`GIT_CONFIG_KEY_${count + 1}`]: `http.${origin}/.followRedirects`,
      [`GIT_CONFIG_VALUE_${count + 1}`]: 'false',
    };
  }
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGTERM');
  } catch {
    // it has ended
  }
}
