import { BuildError, systemErrorCode } from '../index.ts';

/** The reason of an abort by a signal: main.ts aborts with one of these. */
export class SignalReceived extends Error {
  readonly signal: 'SIGINT' | 'SIGTERM';

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`Interrupted by ${signal}`);
    this.signal = signal;
  }

  /** 128 + the signal's number, as shells say it. */
  get exitCode(): number {
    return this.signal === 'SIGINT' ? 130 : 143;
  }
}

/** Whatever was thrown, as the one error that a user sees. */
export function toBuildError(error: unknown, signal: AbortSignal): BuildError {
  if (signal.aborted && !(error instanceof BuildError)) {
    return new BuildError('E_CANCELLED', 'Cancelled', { cause: error });
  }
  if (error instanceof BuildError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (systemErrorCode(error) === 'ENOSPC') {
    return new BuildError('E_NO_SPACE', message, { cause: error, hint: 'make room, or move the store with --root' });
  }
  return new BuildError('E_INTERNAL', message, {
    cause: error,
    hint: 'this is a defect: please report it with --debug',
  });
}

export function exitCodeOf(error: BuildError, signal: AbortSignal): number {
  return signal.reason instanceof SignalReceived ? signal.reason.exitCode : error.exitCode;
}
