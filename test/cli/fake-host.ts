import { vi } from 'vitest';
import type { Host, Operations } from '../../src/cli/host.ts';
import { run } from '../../src/cli/run.ts';
import { BuildError } from '../../src/errors.ts';
import { SUMMARY } from './recorded-events.ts';

const { title: _, ...RESULT } = SUMMARY;

export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly calls: Readonly<Record<string, readonly unknown[]>>;
}

export interface FakeOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly isTerminal?: boolean;
  readonly answers?: readonly string[];
  readonly operations?: Partial<Operations>;
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  if (text !== '') yield Buffer.from(text);
}

/** Runs a command line against operations that only remember their arguments. */
export async function runFake(args: readonly string[], options: FakeOptions = {}): Promise<Finished> {
  const written = { stdout: '', stderr: '' };
  const calls: Record<string, unknown[]> = {};
  const answers = [...(options.answers ?? [])];
  const sink = (name: 'stdout' | 'stderr') => ({
    isTTY: options.isTerminal,
    write: (chunk: string | Uint8Array) => {
      written[name] += Buffer.from(chunk).toString();
      return true;
    },
  });
  const host: Host = {
    args,
    env: { TERM: 'dumb', ...options.env },
    execPath: '/node',
    selfArgs: ['tsbuild.js'],
    stdin: Object.assign(once(options.stdin ?? ''), { isTTY: options.isTerminal }),
    stdout: sink('stdout'),
    stderr: sink('stderr'),
    signal: new AbortController().signal,
    now: () => 0,
    ask: vi.fn(async () => answers.shift() ?? ''),
  };
  const exitCode = await run(host, { ...fakeOperations(calls), ...options.operations });
  return { exitCode, ...written, calls };
}

const image = { name: 'localhost/image0:latest', imageId: RESULT.imageId, manifest: RESULT.manifest };

const RESULTS = {
  build: RESULT,
  pull: image,
  push: { destination: 'docker://host/a', manifest: RESULT.manifest },
  load: [image],
  importRootfs: image,
  listImages: [{ ...image, created: '2026-01-02T03:04:05Z', sizeBytes: 12_345_678, platform: 'linux/amd64' }],
  tagImage: 'localhost/b:latest',
  removeImages: ['untagged: a'],
  inspectImage: { name: 'a' },
  prune: { removed: 2, freedBytes: 1500 },
  login: 'Login succeeded',
  logout: 'Logged out',
  info: {
    lines: [
      { name: 'sandbox', value: 'built-in' },
      { name: 'network', value: 'host', hint: 'install pasta' },
    ],
  },
};

function fakeOperations(calls: Record<string, unknown[]>): Operations {
  const entries = Object.entries(RESULTS).map(([name, result]) => [
    name,
    async (...values: unknown[]) => {
      calls[name] = values;
      return result;
    },
  ]);
  return Object.fromEntries(entries) as Operations; // the commands call no others
}

export const failing =
  (code: ConstructorParameters<typeof BuildError>[0], message: string) => async (): Promise<never> => {
    throw new BuildError(code, message);
  };
