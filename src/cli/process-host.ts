import { fstatSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { UserTerminal } from '../index.ts';
import { SignalReceived } from './failure.ts';
import type { Host } from './host.ts';

/** The real process as a `Host`; installs the handlers of signals and broken pipes. */
export function createHost(): Host {
  const { stdout, stderr } = process;
  const { signal, onSignal, tell } = signalsOfProcess();
  endQuietlyOnBrokenPipe(stdout, tell);
  endQuietlyOnBrokenPipe(stderr, tell);
  // opened where somebody reads it: that takes a start 5 ms
  let input: Host['stdin'] | undefined;
  return {
    args: process.argv.slice(2),
    env: process.env,
    execPath: process.execPath,
    selfArgs: [...process.execArgv, ...process.argv.slice(1, 2)],
    get stdin() {
      input ??= closedStdin() ? emptyInput() : abortable(process.stdin, signal);
      return input;
    },
    stdout,
    archiveStdout: stdout,
    stderr,
    signal,
    onSignal,
    get terminal() {
      return terminalOf(process);
    },
    now: () => performance.now(),
    ask,
  };
}

type Listener = (signal: NodeJS.Signals) => void;

const OTHER_SIGNALS = ['SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** The first signal asks for an orderly end; the second ends at once. Whoever listens decides himself. */
function signalsOfProcess() {
  const controller = new AbortController();
  let listener: Listener | undefined;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (listener !== undefined) return listener(name);
      const reason = new SignalReceived(name);
      if (controller.signal.aborted) process.exit(reason.exitCode);
      controller.abort(reason);
    });
  }
  const onSignal = (added: Listener): (() => void) => {
    listener = added;
    for (const name of OTHER_SIGNALS) process.on(name, added);
    return () => {
      listener = undefined;
      for (const name of OTHER_SIGNALS) process.off(name, added);
    };
  };
  /** false: nobody listens. */
  const tell = (name: NodeJS.Signals): boolean => {
    listener?.(name);
    return listener !== undefined;
  };
  return { signal: controller.signal, onSignal, tell };
}

function terminalOf({ stdin, stdout, stderr }: NodeJS.Process): UserTerminal | undefined {
  if (!stdin.isTTY) return undefined;
  const shown = [stdout, stderr].find((stream) => stream.isTTY);
  return {
    // 0: the terminal does not know
    size: () => ({ columns: shown?.columns || 80, rows: shown?.rows || 24 }),
    setRaw: (isRaw) => void stdin.setRawMode(isRaw),
    onResize: (listener) => {
      shown?.on('resize', listener);
      return () => void shown?.off('resize', listener);
    },
  };
}

/** `tsbuild images | head -1` is no error: what reads our output has had enough. */
function endQuietlyOnBrokenPipe(stream: NodeJS.WriteStream, tell: (name: NodeJS.Signals) => boolean): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' && tell('SIGPIPE')) return;
    if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
    throw error;
  });
}

function closedStdin(): boolean {
  try {
    fstatSync(0);
    return false;
  } catch {
    return true;
  }
}

/** Ends a wait for input at once when a signal comes. */
function abortable(stdin: NodeJS.ReadStream, signal: AbortSignal): NodeJS.ReadStream {
  stdin.on('error', () => {}); // a reader gets it as well; without one it matters to nobody
  signal.addEventListener('abort', () => stdin.destroy(new Error('Interrupted')), { once: true });
  return stdin;
}

async function* emptyInput(): AsyncGenerator<Uint8Array> {}

function ask(question: string, { isSecret }: { readonly isSecret: boolean }): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: stdin, output: isSecret ? silent : stderr, terminal: true });
  return new Promise((resolve) => {
    reader.once('SIGINT', () => {
      stderr.write('\n');
      process.exit(130);
    });
    reader.once('line', (line) => {
      if (isSecret) stderr.write('\n');
      reader.close();
      resolve(line);
    });
    reader.once('close', () => resolve(''));
  });
}
