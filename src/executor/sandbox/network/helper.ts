import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { closeSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { createPipe } from '../syscalls.ts';
import type { HelperName } from './mode.ts';
import type { NetworkNamespace } from './namespace.ts';

/** What a helper is told, and what it does for names. */
interface HelperKind {
  readonly command: readonly string[];
  /** Leaves nothing of the host's loopback to be reached. */
  readonly seclusion: string;
  /** Without that, where the host's loopback is. */
  readonly hostAddress: () => string;
  /** Where queries are answered as the host would. */
  readonly nameServer: string;
}

/**
 * Both find the namespace as their standard input, and write to their standard output when the network is up: newer pastas
 * close every other descriptor. No port of the namespace is reachable from outside.
 */
export const HELPER_KINDS: Readonly<Record<HelperName, HelperKind>> = {
  pasta: {
    command: [
      'pasta',
      // else it takes the root of a namespace with all ids for that of the host, and becomes nobody
      ...['--runas', '0:0'],
      ...['--foreground', '--quiet', '--config-net', '--no-netns-quit'],
      ...['--tcp-ports', 'none', '--udp-ports', 'none', '--tcp-ns', 'none', '--udp-ns', 'none'],
      ...['--dns-forward', '169.254.1.1', '--netns', '/proc/self/fd/0', '--pid', '/proc/self/fd/1'],
    ],
    seclusion: '--no-map-gw',
    hostAddress: defaultGateway,
    nameServer: '169.254.1.1',
  },
  slirp4netns: {
    command: [
      'slirp4netns',
      ...['--configure', '--mtu=65520', '--enable-sandbox', '--enable-seccomp'],
      ...['--ready-fd=1', '--netns-type=path', '/proc/self/fd/0', 'tap0'],
    ],
    seclusion: '--disable-host-loopback',
    hostAddress: () => '10.0.2.2',
    nameServer: '10.0.2.3',
  },
};

/** pasta lets it stand for the host. From /proc/net/route: addresses as the machine has them in memory, in hexadecimal. */
function defaultGateway(): string {
  for (const line of readFileSync('/proc/net/route', 'utf8').split('\n').slice(1)) {
    const [, destination, gateway = ''] = line.split('\t');
    if (destination === '00000000' && gateway !== '00000000')
      return [...Buffer.from(gateway, 'hex').reverse()].join('.');
  }
  throw new Error('the host has no default route for IPv4');
}

/**
 * Runs a helper until our end of descriptor 4 is closed, be it by our death. 3 is the namespace: a command in the background
 * has /dev/null as its standard input unless told otherwise.
 */
const SCRIPT =
  '"$@" <&3 3<&- 4<&- & helper=$!; (read -r _ <&4; kill -9 $helper) >/dev/null 2>&1 3<&- & watch=$!; wait $helper; status=$?; kill -9 $watch; exit $status';

const MAX_WAIT_MS = 10_000;
const MAX_COMPLAINT = 4000;

export interface RunningHelper {
  /** Where the host's loopback is, if that was asked for. */
  readonly hostAddress: string | undefined;
  /** What it said when it ended by itself; undefined: it runs. */
  failure(): string | undefined;
  /** Resolves when no process is left. */
  close(): Promise<void>;
}

/** Resolves when the network is up. Rejects with a plain error, whose message is the helper's. */
export async function startHelper(
  name: HelperName,
  { fd, prefix }: NetworkNamespace,
  { path, reachesHost }: { readonly path: string; readonly reachesHost: boolean },
): Promise<RunningHelper> {
  const { command: words, seclusion, hostAddress } = HELPER_KINDS[name];
  const [program = name, ...options] = words;
  const address = reachesHost ? hostAddress() : undefined;
  const ready = createPipe();
  const stdio: StdioOptions = ['ignore', ready.write, 'pipe', fd, 'pipe'];
  const command = [...prefix, 'sh', '-c', SCRIPT, 'sh', program, ...(reachesHost ? [] : [seclusion]), ...options];
  const child = spawn(command[0] ?? 'sh', command.slice(1), { cwd: '/', env: { PATH: path }, stdio, detached: true });
  closeSync(ready.write);
  const helper = new HelperProcess(child, address);
  try {
    await helper.ready(ready.read);
    helper.unref();
    return helper;
  } catch (error) {
    await helper.close();
    throw error;
  }
}

class HelperProcess implements RunningHelper {
  readonly hostAddress: string | undefined;
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;
  #complaint = '';
  #hasEnded = false;

  constructor(child: ChildProcess, hostAddress: string | undefined) {
    this.#child = child;
    this.hostAddress = hostAddress;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#complaint = `${this.#complaint}${chunk}`.slice(0, MAX_COMPLAINT);
    });
    child.stdio[4]?.on('error', () => {}); // it ends with the process
    this.#gone = new Promise((resolve) => {
      const end = (): void => {
        this.#hasEnded = true;
        resolve();
      };
      child.once('close', end);
      child.once('error', (error) => {
        this.#complaint = error.message;
        end();
      });
    });
  }

  /** A network that is kept ready does not keep this process from ending: the helper ends with it. */
  unref(): void {
    this.#child.unref();
    for (const socket of this.#sockets()) socket.unref();
  }

  #sockets(): readonly Socket[] {
    return [this.#child.stderr, this.#child.stdio[4]].filter((stream) => stream instanceof Socket);
  }

  ready(fd: number): Promise<void> {
    const line = new Socket({ fd, readable: true, writable: false });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('it was not ready in time')), MAX_WAIT_MS);
      const settle = (action: () => void): void => {
        clearTimeout(timer);
        line.destroy();
        action();
      };
      line.once('data', () => settle(resolve));
      line.once('error', (error) => settle(() => reject(error)));
      line.once('end', () => void this.#gone.then(() => settle(() => reject(new Error(this.failure())))));
    });
  }

  failure(): string | undefined {
    if (!this.#hasEnded) return undefined;
    const lines = this.#complaint.split('\n').filter((line) => line.trim() !== '' && !/syslog|^WARNING/.test(line));
    return lines.at(-1)?.trim() ?? 'it ended without a word';
  }

  async close(): Promise<void> {
    this.#child.ref();
    for (const socket of this.#sockets()) socket.ref();
    this.#child.stdio[4]?.destroy();
    await this.#gone;
  }
}
