import type { BuildEvent, EventSink, TransferDirection } from '../events.ts';
import type { Clock } from '../http/index.ts';
import type { Digest } from '../oci/index.ts';

/** events.ts: ten a second. */
const INTERVAL_MS = 100;

type TransferState = Extract<BuildEvent, { type: 'transfer' }>['state'];

export interface TransferSubject {
  readonly digest: Digest;
  readonly size: number;
  readonly direction: TransferDirection;
}

/** The events of one blob on its way. */
export class Progress {
  readonly #subject: TransferSubject;
  readonly #emit: EventSink | undefined;
  readonly #clock: Clock;
  #doneBytes = 0;
  #last = 0;

  constructor(subject: TransferSubject, emit: EventSink | undefined, clock: Clock) {
    this.#subject = subject;
    this.#emit = emit;
    this.#clock = clock;
  }

  /** A change of state is always told. */
  report(state: TransferState, note?: string): void {
    const { digest, size, direction } = this.#subject;
    this.#last = this.#clock.now();
    const noted = note === undefined ? {} : { note };
    this.#emit?.({
      type: 'transfer',
      id: digest,
      direction,
      state,
      doneBytes: this.#doneBytes,
      totalBytes: size,
      ...noted,
    });
  }

  advance(bytes: number): void {
    this.#doneBytes += bytes;
    if (this.#clock.now() - this.#last >= INTERVAL_MS) this.report('running');
  }

  /** An upload begins anew at its first byte. */
  restart(): void {
    this.#doneBytes = 0;
    this.report('running');
  }

  finish(state: 'done' | 'exists' | 'mounted'): void {
    this.#doneBytes = this.#subject.size;
    this.report(state);
  }
}
