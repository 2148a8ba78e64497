import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, inject } from 'vitest';
import { type Container, type ContainerKind, startContainer } from './container.ts';
import { requires } from './requires.ts';

export interface Outcome {
  /** The exit code; undefined after a signal. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/** Somebody who uses the program: root or an ordinary user, with a home of his own below the temporary directory. */
export interface Person {
  readonly name: string;
  /** As /etc/passwd has it. */
  readonly login: string;
  readonly isRoot: boolean;
  readonly home: string;
  /** A new directory that belongs to him; goes at the end of the test file. */
  directory(): string;
  /** Writes files (`path -> text`) into a directory of his, as his. */
  write(directory: string, files: Readonly<Record<string, string>>): void;
  /** Runs any program to its end. */
  run(command: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Runs tsbuild to its end. */
  tsbuild(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Starts tsbuild as the leader of a process group of its own. */
  start(args: readonly string[], options?: RunOptions): ChildProcess;
}

/** A step may wait for input for ever: nothing here takes longer than this. */
const TIMEOUT_MS = 50_000;

interface Account {
  readonly name: string;
  /** As /etc/passwd has it. */
  readonly login: string;
  readonly isRoot: boolean;
  /** What runs a command as him; empty for whoever runs the tests. */
  readonly prefix: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Instead, for somebody in a container. */
  readonly container?: Container;
}

const homes: string[] = [];

afterAll(() => {
  for (const home of homes.splice(0)) removeHome(home);
});

/** Layer directories of an ordinary user belong to his sub-ids: he is root over them in a namespace only. */
function removeHome(home: string): void {
  if (process.getuid?.() === 0) {
    rmSync(home, { recursive: true, force: true });
    return;
  }
  const unshare = [inject('installed'), 'unshare', 'rm', '-rf', home];
  execFileSync(process.execPath, unshare, { stdio: 'ignore' });
}

class TestPerson implements Person {
  readonly name: string;
  readonly login: string;
  readonly isRoot: boolean;
  readonly home: string;
  readonly #account: Account;

  constructor({ contain, ...account }: Account & { readonly contain?: (home: string) => Container }) {
    this.name = account.name;
    this.login = account.login;
    this.isRoot = account.isRoot;
    this.home = realpathSync(mkdtempSync(join(tmpdir(), 'tsbuild-e2e-')));
    homes.push(this.home);
    chmodSync(this.home, 0o755);
    mkdirSync(join(this.home, 'run'), { mode: 0o700 });
    writeFileSync(join(this.home, 'auth.json'), '{}');
    this.#account = contain === undefined ? account : { ...account, container: contain(this.home) };
    this.#own(this.home);
  }

  directory(): string {
    const path = mkdtempSync(join(this.home, 'dir-'));
    chmodSync(path, 0o755);
    this.#own(path);
    return path;
  }

  write(directory: string, files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, name)), { recursive: true });
      writeFileSync(join(directory, name), text);
    }
    this.#own(directory);
  }

  tsbuild(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return this.run([process.execPath, inject('installed'), ...args], options);
  }

  async run(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const child = this.#spawn(command, options, false);
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? TIMEOUT_MS);
    const output = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const)
      child[stream]?.setEncoding('utf8').on('data', (text: string) => {
        output[stream] += text;
      });
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
    const status = await new Promise<number | undefined>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? undefined));
    });
    clearTimeout(timer);
    return { status, ...output };
  }

  start(args: readonly string[], options: RunOptions = {}): ChildProcess {
    return this.#spawn([process.execPath, inject('installed'), ...args], options, true);
  }

  #spawn(command: readonly string[], { env, cwd }: RunOptions, detached: boolean): ChildProcess {
    const own = {
      PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: this.home,
      XDG_DATA_HOME: join(this.home, 'data'),
      XDG_RUNTIME_DIR: join(this.home, 'run'),
      REGISTRY_AUTH_FILE: join(this.home, 'auth.json'),
      USER: this.login,
      ...this.#account.env,
      ...env,
    };
    const { prefix, container } = this.#account;
    const entered = container?.enter(own, cwd ?? this.home) ?? prefix;
    const [program = '', ...args] = [...entered, ...command];
    return spawn(program, args, { cwd: cwd ?? this.home, detached, stdio: ['pipe', 'pipe', 'pipe'], env: own });
  }

  #own(path: string): void {
    if (this.#account.prefix.length > 0) execFileSync('chown', ['-hR', `${this.login}:`, path]);
  }
}

function accounts(): readonly Account[] {
  const uid = process.getuid?.() ?? -1;
  if (uid !== 0) return [{ name: 'ordinary user', login: userInfo().username, isRoot: false, prefix: [] }];
  const root = { name: 'root', login: 'root', isRoot: true, prefix: [] };
  const user = inject('ordinaryUser');
  if (!requires('an ordinary user with sub-ids', user !== '' && canRunNode(user))) return [root];
  return [root, { name: 'ordinary user', login: user, isRoot: false, prefix: asUser(user) }];
}

/** setpriv executes in place: a signal to the child is a signal to the program. */
const asUser = (user: string): readonly string[] => ['setpriv', '--reuid', user, '--regid', user, '--init-groups'];

function canRunNode(user: string): boolean {
  const [program = '', ...args] = [...asUser(user), process.execPath, inject('installed'), '--version'];
  try {
    execFileSync(program, args, { stdio: 'ignore', cwd: '/' });
    return true;
  } catch {
    return false;
  }
}

/** Root and an ordinary user where the tests run as root, else whoever runs them. */
export const people = (): readonly Person[] => accounts().map((account) => new TestPerson(account));

/** Root in a container; it lasts as long as the tests of the file, which stop it. */
export function rootInContainer(kind: ContainerKind): { readonly person: Person; readonly stop: () => void } {
  let stop = (): void => {};
  const contain = (home: string): Container => {
    const container = startContainer(kind, home);
    stop = container.stop;
    return container;
  };
  const person = new TestPerson({
    name: `root in a container (${kind})`,
    login: 'root',
    isRoot: true,
    prefix: [],
    contain,
  });
  return { person, stop: () => stop() };
}

/** Somebody without sub-ids: who runs the tests without being root does without his own. Empty where there is none. */
export function peopleWithOneId(): readonly Person[] {
  const name = 'user with one id';
  const uid = process.getuid?.() ?? -1;
  const user = inject('plainUser');
  const own = { name, login: userInfo().username, isRoot: false, prefix: [], env: { TSBUILD_OWNERS: 'recorded' } };
  if (uid !== 0) return [new TestPerson(own)];
  if (!requires('an ordinary user without sub-ids', user !== '' && canRunNode(user))) return [];
  return [new TestPerson({ name, login: user, isRoot: false, prefix: asUser(user) })];
}

/** Whether the base image is there, without which no step can run. */
export const hasBase = (): boolean =>
  requires('docker-registry and busybox-static, for a base image', inject('base') !== '');
