import type { Credentials } from './credentials.ts';
import type { Answer, Notification } from './listener.ts';
import type { Kernel } from './raw.ts';
import type { Records } from './records.ts';
import type { Target } from './target.ts';
import type { Tickets } from './tickets.ts';

/** What every answer is made with. */
export interface Room {
  readonly kernel: Kernel;
  readonly target: Target;
  readonly records: Records;
  readonly tickets: Tickets;
}

/** One call of the step. */
export interface Asking {
  readonly notification: Notification;
  /** An argument; 0 where there is none. */
  readonly arg: (index: number) => number;
  /** An argument that is 32 bits without sign: an id. */
  readonly id: (index: number) => number;
  readonly pid: number;
  /** Of the asking process. */
  readonly who: () => Credentials;
}

/** Answers a call; may throw `Errno`. */
export type Handler = (room: Room, asking: Asking) => Answer;

export function askingOf(notification: Notification, tickets: Tickets): Asking {
  const { pid, args } = notification;
  const arg = (index: number): number => args[index] ?? 0;
  return { notification, arg, id: (index) => arg(index) % 0x1_0000_0000, pid, who: () => tickets.of(pid) };
}
