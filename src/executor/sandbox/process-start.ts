import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { lookupEnd, openTerminal, spawnOnTerminal, type TerminalSize } from './process-calls.ts';
import type { ExitStatus } from './sandbox.ts';

export interface StepStreams {
  /** undefined: /dev/null. */
  readonly stdin?: number | undefined;
  readonly stdout: number;
  readonly stderr: number;
  /** Instead of the three: a terminal of its own. */
  readonly terminal?: TerminalSize | undefined;
}

export interface ProgramStart {
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly streams: StepStreams;
  readonly onStarted: (program: StartedProgram) => void;
}

export interface StartedProgram {
  readonly pid: number;
  /** A descriptor of this process: the side of its terminal that whoever shows it has. */
  readonly terminal?: number;
}

/**
 * Starts a program with the namespaces, root, user, groups, directory and umask of the calling thread, as the leader of a
 * session, and waits for its end.
 */
export function runProgram(start: ProgramStart): Promise<ExitStatus> {
  const { streams } = start;
  return streams.terminal === undefined ? runOnPipes(start) : runOnTerminal(start, streams.terminal);
}

/** A program that is there and cannot be started. */
export const notStarted = (name: string, error: Error & { readonly code?: string }): ExitStatus => ({
  kind: 'not-started',
  reason: `"${name}": ${isForeign(error) ? FOREIGN : (error.code ?? error.message)} (126)`,
});

const FOREIGN = 'exec format error: a program for another architecture';

/** ENOEXEC, which Node has no name for; Node's own errors have its number below 0. */
const isForeign = (error: Error): boolean =>
  'errno' in error && Math.abs(Number(error.errno)) === constants.errno.ENOEXEC;

function runOnPipes({ path, argv, env, streams, onStarted }: ProgramStart): Promise<ExitStatus> {
  const [name = '', ...args] = argv;
  const { stdin = 'ignore', stdout, stderr } = streams;
  return new Promise((resolve) => {
    let child: ReturnType<typeof spawn>;
    try {
      // `detached` is setsid(2)
      child = spawn(path, args, { argv0: name, env: { ...env }, detached: true, stdio: [stdin, stdout, stderr] });
    } catch (error) {
      if (!(error instanceof Error && isForeign(error))) throw error;
      resolve(notStarted(name, error));
      return;
    }
    if (child.pid !== undefined) onStarted({ pid: child.pid });
    child.once('error', (error) => resolve(notStarted(name, error)));
    child.once('exit', (code, signal) =>
      resolve(signal === null ? { kind: 'exited', code: code ?? 1 } : { kind: 'signaled', signal }),
    );
  });
}

const POLL_MS = 20;

async function runOnTerminal({ path, argv, env, onStarted }: ProgramStart, size: TerminalSize): Promise<ExitStatus> {
  const { master, path: terminal } = openTerminal(size);
  let pid: number;
  try {
    pid = spawnOnTerminal({ path, argv, env, terminal });
  } catch (error) {
    closeSync(master);
    return notStarted(argv[0] ?? '', error instanceof Error ? error : new Error(String(error)));
  }
  // whoever is told of it closes it
  onStarted({ pid, terminal: master });
  // the thread may have more to do, so it must not block
  let status = lookupEnd(pid);
  for (; status === undefined; status = lookupEnd(pid)) await sleep(POLL_MS);
  return 'code' in status
    ? { kind: 'exited', code: status.code }
    : { kind: 'signaled', signal: nameOfSignal(status.signal) };
}

/** `SIGKILL`, ... */
export const nameOfSignal = (signal: number): string =>
  Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? `signal ${signal}`;
