import { getArchitecture, lookupNative } from '../seccomp/index.ts';
import { ATTRIBUTE_ANSWERS } from './answer-attributes.ts';
import { BIND_ANSWERS } from './answer-bind.ts';
import { CREATE_ANSWERS } from './answer-create.ts';
import { EXEC_ANSWERS } from './answer-exec.ts';
import { ID_ANSWERS } from './answer-ids.ts';
import { OWNER_ANSWERS } from './answer-owner.ts';
import { STAT_ANSWERS } from './answer-stat.ts';
import { askingOf, type Handler, type Room } from './asking.ts';
import type { Credentials } from './credentials.ts';
import { type Answer, Listener, type Notification } from './listener.ts';
import { EIO, Errno, Kernel } from './raw.ts';
import { Records } from './records.ts';
import { Target } from './target.ts';
import { Tickets } from './tickets.ts';

const ANSWERS: Readonly<Record<string, Handler>> = {
  ...STAT_ANSWERS,
  ...OWNER_ANSWERS,
  ...ID_ANSWERS,
  ...CREATE_ANSWERS,
  ...BIND_ANSWERS,
  ...ATTRIBUTE_ANSWERS,
  ...EXEC_ANSWERS,
};

/** What the filter has to ask about. */
export const RECORDED_CALLS: readonly string[] = Object.keys(ANSWERS);

export interface SupervisorOptions {
  /** Of the filter. */
  readonly listener: number;
  /** The end of a pipe: when the other one is closed, the step has ended. */
  readonly stop: number;
  /** Of the step's first process. */
  readonly initial: Credentials;
}

/**
 * Answers the calls of a step until it has ended; blocks the thread. The thread has the step's root, and the /proc of this
 * process' pid namespace as its working directory. Returns what went wrong with the supervisor itself, if anything did: a
 * step that was answered with EIO is not to be trusted.
 */
export function supervise({ listener, stop, initial }: SupervisorOptions): unknown {
  const kernel = new Kernel();
  const calls = new Listener(kernel, listener, stop);
  const room: Room = {
    kernel,
    target: new Target(kernel),
    records: new Records(kernel),
    tickets: new Tickets(kernel, initial),
  };
  const native = getArchitecture(lookupNative() ?? 'x86_64');
  const handlers = new Map<number, Handler>();
  for (const [name, handler] of Object.entries(ANSWERS)) {
    const number = native.numbers.get(name);
    if (number !== undefined) handlers.set(number, handler);
  }
  let failure: unknown;
  const decide = (call: Notification): Answer => {
    const handler = call.audit === native.audit ? handlers.get(call.number) : undefined;
    if (!handler) return 'continue';
    try {
      return handler(room, askingOf(call, room.tickets));
    } catch (error) {
      if (error instanceof Errno) return { errno: error.errno };
      failure ??= error;
      return { errno: EIO };
    }
  };
  for (let call = calls.next(); call; call = calls.next()) calls.answer(decide(call));
  return failure;
}
