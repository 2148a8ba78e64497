import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, readSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { BuildError } from '../../errors.ts';
import { SystemCallError } from '../../layers/index.ts';
import { procRefused } from './init.ts';
import {
  assemble,
  type Call,
  callOf,
  lookupMachine,
  mayExecuteMemory,
  openProgram,
  REPORT_BYTES,
} from './launch/index.ts';
import { nameOfSignal, notStarted } from './process-start.ts';
import type { ExitStatus } from './sandbox.ts';
import { getArchitecture, lookupNative } from './seccomp/index.ts';
import { REPORT, stepCalls } from './step-calls.ts';
import type { StepOrder } from './step-order.ts';
import { createPipe } from './syscalls.ts';

/** Whether steps can be started in this way here. */
export const canLaunchSteps = (): boolean =>
  lookupMachine() !== undefined && lookupNative() !== undefined && mayExecuteMemory();

/** PID 1 of a step and its parent, which wait for the program. */
export interface StepProcesses {
  /** PID 1, as seen by this process. */
  readonly init: number;
  /** Starts the program at this path in the root; undefined: there is none to start. Once. */
  start(path: string | undefined): void;
  /** How the program ended; undefined: it did not begin, or was killed with PID 1. Rejects where its process could not be set up. */
  readonly ended: Promise<ExitStatus | undefined>;
  /** All have ended and were reaped. */
  readonly gone: Promise<void>;
}

/**
 * Starts the processes of a step, with the namespaces, root, directory and umask of the calling thread, and waits until /proc is
 * that of the step. They end with this process. `last`: the last capability of this kernel. Throws `E_MOUNT_DENIED`.
 */
export function startProcesses(order: StepOrder, last: number): StepProcesses {
  const calls = stepCalls(order, last);
  const [orders, reports, life] = [createPipe(), createPipe(), createPipe()];
  const parent = spawnCalls(calls, [orders.read, order.stdout, order.stderr, reports.write, life.read]);
  for (const fd of [orders.read, reports.write, life.read]) closeSync(fd);
  const gone = new Promise<void>((resolve) => parent.once('exit', () => resolve()));
  let isOpen = true;
  const start = (path: string | undefined): void => {
    if (!isOpen) return;
    isOpen = false;
    try {
      if (path !== undefined) writeSync(orders.write, `${path}\0`);
    } finally {
      closeSync(orders.write);
    }
  };
  const reader = new ReportReader(calls, order.spec.argv[0] ?? '');
  try {
    const init = parent.pid === undefined ? undefined : reader.awaitInit(reports.read);
    if (init === undefined)
      throw new BuildError('E_SANDBOX', 'Cannot start the processes of a step: they ended at once', {
        hint: 'Run "tsbuild info": it says what this machine allows',
      });
    void gone.then(() => closeSync(life.write));
    return { init, start, gone, ended: reader.follow(reports.read) };
  } catch (error) {
    start(undefined);
    for (const fd of [reports.read, life.write]) closeSync(fd);
    throw error;
  }
}

function spawnCalls(calls: readonly Call[], stdio: readonly number[]): ChildProcess {
  const [machine, native] = [lookupMachine(), lookupNative()];
  if (machine === undefined || native === undefined)
    throw new BuildError('E_INTERNAL', `There is no code that starts a step on ${process.arch}`);
  const file = openProgram(assemble(calls, getArchitecture(native).numbers, machine));
  try {
    // `detached` is setsid(2): keys of the terminal are not for it
    const child = spawn(`/proc/self/fd/${file}`, [], { cwd: '/', env: {}, detached: true, stdio: [...stdio] });
    child.once('error', () => {}); // it has no pid then
    return child;
  } finally {
    closeSync(file);
  }
}

interface Report {
  readonly kind: number;
  readonly words: readonly [bigint, bigint];
}

const parseReport = (bytes: Buffer): Report => ({
  kind: Number(bytes.readBigUInt64LE(0)),
  words: [bytes.readBigInt64LE(8), bytes.readBigUInt64LE(16)],
});

class ReportReader {
  readonly #calls: readonly Call[];
  readonly #program: string;
  #init: number | undefined;
  #status: ExitStatus | undefined;

  constructor(calls: readonly Call[], program: string) {
    this.#calls = calls;
    this.#program = program;
  }

  /** Blocks until PID 1 is ready; undefined: it will not be. Two processes report, in any order. */
  awaitInit(fd: number): number | undefined {
    const bytes = Buffer.alloc(REPORT_BYTES);
    for (let isReady = false; !isReady || this.#init === undefined; ) {
      if (readSync(fd, bytes) !== REPORT_BYTES) return undefined;
      const { kind, words } = parseReport(bytes);
      if (kind === REPORT.failed) {
        const failure = this.#failure(words);
        throw failure.syscall === 'mount' ? procRefused(failure.code) : failure;
      }
      if (kind === REPORT.init) this.#init = Number(words[0]);
      else isReady = true;
    }
    return this.#init;
  }

  /** Until nobody reports any more. */
  follow(fd: number): Promise<ExitStatus | undefined> {
    const socket = new Socket({ fd, readable: true, writable: false });
    return new Promise((resolve, reject) => {
      let rest = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk]);
        for (; rest.length >= REPORT_BYTES; rest = rest.subarray(REPORT_BYTES)) this.#take(parseReport(rest), reject);
        if (this.#status) resolve(this.#status);
      });
      socket.once('error', reject);
      socket.once('close', () => resolve(this.#status));
    });
  }

  #take({ kind, words }: Report, onFailure: (error: Error) => void): void {
    if (kind === REPORT.failed) {
      const failure = this.#failure(words);
      if (failure.syscall !== 'execve') return onFailure(failure);
      this.#status = notStarted(this.#program, failure);
    } else if (kind === REPORT.ended && Number(words[0]) !== this.#init) this.#status ??= statusOf(Number(words[1]));
  }

  #failure([result, address]: Report['words']): SystemCallError {
    const name = callOf(this.#calls, address)?.name ?? 'call';
    return new SystemCallError(name, -Number(result), name === 'mount' ? '/proc' : `"${this.#program}"`);
  }
}

/** wait(2) */
function statusOf(word: number): ExitStatus {
  const signal = word & 0x7f;
  if (signal === 0) return { kind: 'exited', code: (word >> 8) & 0xff };
  return { kind: 'signaled', signal: nameOfSignal(signal) };
}
