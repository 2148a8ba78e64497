import type { Writable } from 'node:stream';
import type { StartedProcess, TerminalSize } from '../executor/index.ts';
import type { UserStreams } from '../user-streams.ts';

/** What a user may send to a program; the first two ask for its end. */
export const FORWARDED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** The third request for an end is meant. */
const PATIENCE = 3;

export interface Attachment {
  readonly hasInput: boolean;
  readonly hasTerminal: boolean;
}

/** Connects the user with one program, which may not have started yet. */
export class Attached implements Disposable {
  /** Aborted by a signal before the program runs, or by the third one. */
  readonly signal: AbortSignal;
  readonly #abort = new AbortController();
  readonly #streams: UserStreams;
  readonly #attachment: Attachment;
  readonly #undo: (() => void)[] = [];
  #process: StartedProcess | undefined;
  #requests = 0;
  #received: NodeJS.Signals | undefined;

  /** `before`: what signals that came before this abort. */
  constructor(streams: UserStreams, attachment: Attachment, before: AbortSignal) {
    this.#streams = streams;
    this.#attachment = attachment;
    this.signal = this.#abort.signal;
    if (before.aborted) this.#end(signalOf(before.reason));
    this.#undo.push(streams.onSignal((signal) => this.#pass(signal)));
  }

  /** The signal that ended the wait for the program, if one did. */
  get received(): NodeJS.Signals | undefined {
    return this.#received;
  }

  get terminalSize(): TerminalSize | undefined {
    if (!this.#attachment.hasTerminal) return undefined;
    return this.#streams.terminal?.size() ?? { columns: 80, rows: 24 };
  }

  started(process: StartedProcess): void {
    this.#process = process;
    const { terminal } = this.#streams;
    if (this.#attachment.hasTerminal && terminal !== undefined) {
      process.resize(terminal.size());
      this.#undo.push(terminal.onResize(() => process.resize(terminal.size())));
      if (this.#attachment.hasInput) {
        terminal.setRaw(true);
        this.#undo.push(() => terminal.setRaw(false));
      }
    }
    if (process.stdin !== undefined) void feed(this.#streams.stdin, process.stdin, this.#attachment);
  }

  [Symbol.dispose](): void {
    for (const undo of this.#undo.toReversed()) undo();
    this.#undo.length = 0;
  }

  #pass(signal: NodeJS.Signals): void {
    if (signal === 'SIGPIPE') return this.#end(signal);
    const isRequest = signal === 'SIGINT' || signal === 'SIGTERM' || signal === 'SIGHUP';
    if (isRequest) this.#requests++;
    if (this.#process === undefined || this.#requests >= PATIENCE) {
      if (isRequest) this.#end(signal);
      return;
    }
    send(this.#process.pid, signal);
  }

  #end(signal: NodeJS.Signals): void {
    this.#received ??= signal;
    this.#abort.abort();
  }
}

/** false: there is no such process any more. */
export function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Resolves also when the other side is closed. */
function drained(target: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      target.off('drain', done);
      target.off('close', done);
      resolve();
    };
    target.on('drain', done);
    target.on('close', done);
  });
}

async function feed(input: AsyncIterable<Uint8Array>, target: Writable, { hasTerminal }: Attachment): Promise<void> {
  try {
    for await (const chunk of input) {
      if (target.destroyed) return;
      if (!target.write(chunk)) await drained(target);
    }
  } catch {
    // the user's input is gone, which is its end
  }
  // closing a terminal would take its output, too: its own sign for the end is Ctrl-D
  if (!hasTerminal) target.end();
  else if (!target.destroyed) target.write('\x04');
}

/** Whoever aborts because of a signal says so in the reason. */
function signalOf(reason: unknown): NodeJS.Signals {
  const isSignal = typeof reason === 'object' && reason !== null && 'signal' in reason && reason.signal === 'SIGTERM';
  return isSignal ? 'SIGTERM' : 'SIGINT';
}
