import { BuildError, hintForOpenFiles, systemErrorCode } from '../index.ts';

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
  // what went wrong first, not the cleaning up after it
  if (isSuppressedError(error)) return toBuildError(error.suppressed, signal);
  const [hint] = originsOf(error).flatMap((origin) => hintForOpenFiles(origin) ?? []);
  if (hint !== undefined) return outOfFiles(error, hint);
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

/** Whatever failed for want of descriptors, this is what helps. */
function outOfFiles(error: unknown, hint: string): BuildError {
  if (!(error instanceof BuildError)) return new BuildError('E_STORE', 'Too many open files', { cause: error, hint });
  const { code, message, range, cause, fields, outputTail } = error;
  return new BuildError(code, message, { range, cause, fields, outputTail, hint });
}

/** The error and what it came from. */
function originsOf(error: unknown): readonly unknown[] {
  const chain: unknown[] = [];
  for (let at = error; at !== undefined && chain.length < 20; at = at instanceof Error ? at.cause : undefined)
    chain.push(at);
  return chain;
}

/** Thrown by `using` where disposal fails as well; Node 20 has no class of that name. */
const isSuppressedError = (error: unknown): error is { readonly suppressed: unknown } =>
  error instanceof Error && error.name === 'SuppressedError' && 'suppressed' in error;

export function exitCodeOf(error: BuildError, signal: AbortSignal): number {
  return signal.reason instanceof SignalReceived ? signal.reason.exitCode : error.exitCode;
}
