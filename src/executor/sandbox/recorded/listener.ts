import { AT, EIO, Errno, type Kernel } from './raw.ts';

/** A call that waits for an answer: struct seccomp_notif of linux/seccomp.h. */
export interface Notification {
  /** Of the thread, as this process sees it. */
  readonly pid: number;
  readonly number: number;
  readonly audit: number;
  /** As the kernel takes them: the low 32 bits with sign, where `int` is meant use `| 0`. */
  readonly args: readonly number[];
}

/** What the supervisor says to a call. */
export type Answer =
  /** The kernel does what was asked. */
  | 'continue'
  /** The result of the call. */
  | { readonly value: number }
  | { readonly errno: number }
  /** The result is a new descriptor of the step for this one of ours, which is closed then. */
  | { readonly descriptor: number; readonly closeOnExec: boolean };

const RECV = 0xc0502100;
const SEND = 0xc0182101;
const ADDFD = 0x40182103;
const SET_FLAGS = 0x40082104;
const SYNC_WAKE_UP = 1;
const FLAG_CONTINUE = 1;
const ADDFD_SEND = 2;
const O_CLOEXEC = 0o2000000;
const POLLIN = 1;
const NOTIFICATION_BYTES = 80;
const RESPONSE_BYTES = 24;
const EINTR = 4;

/** The descriptor over which the kernel tells of the calls of a step (seccomp_unotify(2)). */
export class Listener {
  readonly #kernel: Kernel;
  readonly #fd: number;
  readonly #stop: number;

  /** `stop`: a pipe's end; when the other one is closed, there is nothing more to listen to. */
  constructor(kernel: Kernel, fd: number, stop: number) {
    this.#kernel = kernel;
    this.#fd = fd;
    this.#stop = stop;
    kernel.try('ioctl', fd, SET_FLAGS, SYNC_WAKE_UP); // Linux 6.6: the answering and the asking thread take turns on one core
  }

  /** Waits for the next call; undefined: it is over. */
  next(): Notification | undefined {
    for (;;) {
      const ready = this.#poll();
      if (ready === 'stop') return undefined;
      if (ready === 'again') continue;
      const { bytes, base } = this.#kernel;
      bytes.fill(0, AT.notification, AT.notification + NOTIFICATION_BYTES);
      // the asking thread may have been killed meanwhile
      if (this.#kernel.try('ioctl', this.#fd, RECV, base + AT.notification) < 0) continue;
      return {
        pid: bytes.readUInt32LE(AT.notification + 8),
        number: bytes.readInt32LE(AT.notification + 16),
        audit: bytes.readUInt32LE(AT.notification + 20),
        args: [0, 1, 2, 3, 4, 5].map((index) => readWord(bytes, AT.notification + 32 + 8 * index)),
      };
    }
  }

  answer(answer: Answer): void {
    if (answer !== 'continue' && 'descriptor' in answer) this.#giveDescriptor(answer);
    else if (answer === 'continue') this.#send(0, 0, FLAG_CONTINUE);
    else if ('errno' in answer) this.#send(0, -answer.errno, 0);
    else this.#send(answer.value, 0, 0);
  }

  #poll(): 'call' | 'stop' | 'again' {
    const { bytes, base } = this.#kernel;
    [this.#fd, this.#stop].forEach((fd, index) => {
      bytes.writeInt32LE(fd, AT.polled + 8 * index);
      bytes.writeUInt16LE(POLLIN, AT.polled + 8 * index + 4);
      bytes.writeUInt16LE(0, AT.polled + 8 * index + 6);
    });
    // no timeout; ppoll, as arm64 has no poll
    const found = this.#kernel.try('ppoll', base + AT.polled, 2);
    if (found === -EINTR) return 'again';
    if (found < 0) throw new Errno(-found);
    if (bytes.readUInt16LE(AT.polled + 14) !== 0) return 'stop';
    const events = bytes.readUInt16LE(AT.polled + 6);
    if ((events & POLLIN) !== 0) return 'call';
    return 'stop'; // nobody is left who could ask
  }

  #send(value: number, error: number, flags: number): void {
    const { bytes, base } = this.#kernel;
    bytes.copy(bytes, AT.response, AT.notification, AT.notification + 8);
    bytes.writeBigInt64LE(BigInt(value), AT.response + 8);
    bytes.writeInt32LE(error, AT.response + 16);
    bytes.writeUInt32LE(flags, AT.response + 20);
    this.#kernel.try('ioctl', this.#fd, SEND, base + AT.response); // ENOENT: the asking thread is gone
  }

  #giveDescriptor({ descriptor, closeOnExec }: Extract<Answer, { readonly descriptor: number }>): void {
    const { bytes, base } = this.#kernel;
    bytes.fill(0, AT.addFd, AT.addFd + RESPONSE_BYTES);
    bytes.copy(bytes, AT.addFd, AT.notification, AT.notification + 8);
    bytes.writeUInt32LE(ADDFD_SEND, AT.addFd + 8);
    bytes.writeUInt32LE(descriptor, AT.addFd + 12);
    bytes.writeUInt32LE(closeOnExec ? O_CLOEXEC : 0, AT.addFd + 20);
    const result = this.#kernel.try('ioctl', this.#fd, ADDFD, base + AT.addFd);
    this.#kernel.try('close', descriptor);
    if (result < 0) this.#send(0, result === -2 ? -EIO : result, 0);
  }
}

/** 64 bits; all of ours are addresses (47 bits) or less, and what is larger is a negative number of 32 bits. */
function readWord(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4) * 0x1_0000_0000 + bytes.readUInt32LE(at);
}
