import { closeSync, fchownSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { BuildError, systemErrorCode } from '../../errors.ts';
import { duplicate, resizeTerminal, type TerminalSize } from './process-calls.ts';
import type { StepStreams } from './process-start.ts';
import type { SandboxIo, StartedProcess } from './sandbox.ts';
import { createPipe, type Pipe } from './syscalls.ts';

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The pipes or the terminal between a process in the sandbox and whoever looks at it. */
export class ProcessStreams {
  /** The ends for the process. */
  readonly order: StepStreams;
  readonly #io: SandboxIo;
  readonly #finished: Promise<void>[] = [];
  readonly #sources: Socket[] = [];
  /** Begins to give on what the process writes. */
  readonly #flowing: (() => void)[] = [];
  readonly #input: Pipe | undefined;
  #stdin: Writable | undefined;

  /** `owner`: absent where all users are one. Throws `E_ID_NOT_MAPPED` where the owner has no id here. */
  constructor(io: SandboxIo, owner: Owner | undefined) {
    const { hasInput = false, terminal } = io.interaction ?? {};
    this.#io = io;
    const stdout = createPipe();
    const stderr = createPipe();
    this.#input = hasInput && terminal === undefined ? createPipe() : undefined;
    this.#read(stdout.read, 'stdout');
    this.#read(stderr.read, 'stderr');
    if (io.interaction === undefined) this.#flow();
    this.#stdin = this.#input && inputTo(this.#input.write);
    this.order = { stdin: this.#input?.read, stdout: stdout.write, stderr: stderr.write, terminal };
    try {
      if (owner) for (const fd of this.#ends()) giveTo(fd, owner);
    } catch (error) {
      void this.close();
      throw error;
    }
  }

  /** `terminal`: our side of the process's terminal. */
  started({ pid, terminal }: { readonly pid: number; readonly terminal?: number }, init: number): void {
    const { interaction } = this.#io;
    if (terminal !== undefined) this.#stdin = this.#openTerminal(terminal);
    const resize = (size: TerminalSize): void => {
      if (terminal !== undefined && this.#stdin?.destroyed === false) resizeTerminal(terminal, size);
    };
    const process: StartedProcess = { pid, init, stdin: interaction?.hasInput ? this.#stdin : undefined, resize };
    interaction?.onStarted(process);
    this.#flow();
  }

  /**
   * Once the process has ended; resolves when all output has been given on. With `patienceMs`, no longer than that is
   * waited for what others that hold its ends may write.
   */
  async close(patienceMs?: number): Promise<void> {
    for (const fd of this.#ends()) closeSync(fd);
    this.#flow();
    if (this.order.terminal === undefined) this.#stdin?.destroy();
    const giveUp = (): void => {
      for (const source of this.#sources) source.destroy();
    };
    const timer = patienceMs === undefined ? undefined : setTimeout(giveUp, patienceMs);
    await Promise.all(this.#finished);
    clearTimeout(timer);
  }

  #ends(): readonly number[] {
    const { stdin, stdout, stderr } = this.order;
    return [...(stdin === undefined ? [] : [stdin]), stdout, stderr];
  }

  #openTerminal(fd: number): Writable {
    const terminal = new ReadStream(fd);
    const rest = duplicate(fd);
    const ended = new Promise<void>((resolve) => {
      terminal.on('data', (chunk: Buffer) => this.#io.onOutput('stdout', chunk));
      terminal.on('error', () => {}); // EIO: nobody has the other side any more
      terminal.once('close', () => {
        this.#drain(rest);
        resolve();
      });
    });
    this.#finished.push(ended);
    this.#sources.push(terminal);
    return terminal;
  }

  /** libuv takes a read that was shorter than it could be for the last one, once the other side is closed; there may be more. */
  #drain(fd: number): void {
    const buffer = Buffer.alloc(64 * 1024);
    try {
      for (let size = readSync(fd, buffer); size > 0; size = readSync(fd, buffer))
        this.#io.onOutput('stdout', Buffer.from(buffer.subarray(0, size)));
    } catch {
      // EIO: that was all; EAGAIN: somebody has the other side, who is not waited for
    } finally {
      closeSync(fd);
    }
  }

  /** Nobody hears of a process before it is known to run: who answers its first words may send it a signal. */
  #flow(): void {
    for (const begin of this.#flowing.splice(0)) begin();
  }

  /** Until nobody holds the other end any more. */
  #read(fd: number, stream: 'stdout' | 'stderr'): void {
    const socket = new Socket({ fd, readable: true, writable: false });
    this.#sources.push(socket);
    const finished = new Promise<void>((resolve, reject) => {
      this.#flowing.push(() => socket.on('data', (chunk: Buffer) => this.#io.onOutput(stream, chunk)));
      socket.once('error', reject);
      socket.once('close', () => resolve());
    });
    this.#finished.push(finished);
  }
}

/** Else the process's own user could not open /dev/stdout. */
function giveTo(fd: number, { uid, gid }: Owner): void {
  try {
    fchownSync(fd, uid, gid);
  } catch (cause) {
    if (systemErrorCode(cause) !== 'EINVAL') throw cause;
    throw new BuildError('E_ID_NOT_MAPPED', `Cannot run as user ${uid}:${gid}: this build has no such id`, {
      hint: 'Use a smaller id, or give your user more ids in /etc/subuid and /etc/subgid',
      cause,
    });
  }
}

function inputTo(fd: number): Writable {
  const socket = new Socket({ fd, readable: false, writable: true });
  socket.on('error', () => {}); // EPIPE: the process does not read on, which is its right
  return socket;
}
