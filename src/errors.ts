/**
 * Every error that a user may see: a closed set of codes, each with its exit code.
 * Throw where *what* is known; add *where* once at a module border; print once, in cli.
 */

/** A Containerfile (or trigger text) by the name that the user knows it by. */
export interface SourceFile {
  readonly name: string;
  readonly text: string;
}

/** 1-based line; 1-based column in UTF-16 units. */
export interface SourcePosition {
  readonly line: number;
  readonly column: number;
}

/** Half-open: `end` is the position after the last character. */
export interface SourceRange {
  readonly source: SourceFile;
  readonly start: SourcePosition;
  readonly end: SourcePosition;
}

/** Exit codes of the program (docs/errors.md). */
export const EXIT_CODES = {
  E_INTERNAL: 1,
  E_INSTALLATION: 1,
  E_USAGE: 2,
  E_BAD_REFERENCE: 2,
  E_BAD_PLATFORM: 2,
  E_PARSE: 3,
  E_UNKNOWN_INSTRUCTION: 3,
  E_UNKNOWN_FLAG: 3,
  E_UNKNOWN_STAGE: 3,
  E_EXPANSION: 3,
  E_UNSUPPORTED: 3,
  E_LINT: 3,
  E_NO_CONTAINERFILE: 4,
  E_CONTEXT: 4,
  E_NOT_IN_CONTEXT: 4,
  E_IGNORED_SOURCE: 4,
  E_PATH_ESCAPE: 4,
  E_BAD_ARCHIVE: 4,
  E_COPY_CONFLICT: 4,
  E_RUN_FAILED: 5,
  E_RUN_SIGNALED: 5,
  E_RUN_NOT_STARTED: 5,
  E_RUN_TIMEOUT: 5,
  E_UNKNOWN_USER: 5,
  E_NO_SECRET: 5,
  E_NO_USERNS: 6,
  E_NO_SUBUID: 6,
  E_NO_OVERLAY: 6,
  E_MOUNT_DENIED: 6,
  E_SANDBOX: 6,
  E_ID_NOT_MAPPED: 6,
  E_OWNER_NOT_RECORDED: 6,
  E_NO_NETWORK: 6,
  E_PORT: 6,
  E_UNAUTHORIZED: 7,
  E_DENIED: 7,
  E_NOT_FOUND: 7,
  E_RATE_LIMITED: 7,
  E_UNAVAILABLE: 7,
  E_TLS: 7,
  E_REGISTRY: 7,
  E_REMOTE: 7,
  E_NO_PLATFORM: 7,
  E_DIGEST_MISMATCH: 8,
  E_SIZE_MISMATCH: 8,
  E_BAD_LAYER: 8,
  E_BAD_MANIFEST: 8,
  E_NO_SPACE: 9,
  E_LOCKED: 9,
  E_CORRUPT_STORE: 9,
  E_STORE: 9,
  E_NO_IMAGE: 9,
  E_NO_CONTAINER: 9,
  E_CONTAINER: 9,
  E_CANCELLED: 130,
} as const;

export type ErrorCode = keyof typeof EXIT_CODES;

export interface BuildErrorOptions {
  /** What the user should do next; one sentence. */
  readonly hint?: string | undefined;
  readonly range?: SourceRange | undefined;
  readonly cause?: unknown;
  /** Facts for machines (JSON output), e.g. `{ exitStatus: 7 }`, `{ expected, actual }`. Never secrets. */
  readonly fields?: Readonly<Record<string, string | number>> | undefined;
  /** Last lines of a failing step's output, oldest first. */
  readonly outputTail?: readonly string[] | undefined;
}

/**
 * The one error class. `message`: sentence case, no full stop, names the action, quotes values with `"`,
 * e.g. `Cannot copy "app.js": excluded by .containerignore line 3`.
 */
export class BuildError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly range: SourceRange | undefined;
  readonly fields: Readonly<Record<string, string | number>>;
  readonly outputTail: readonly string[];

  constructor(code: ErrorCode, message: string, options: BuildErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BuildError';
    this.code = code;
    this.hint = options.hint;
    this.range = options.range;
    this.fields = options.fields ?? {};
    this.outputTail = options.outputTail ?? [];
  }

  get exitCode(): number {
    return EXIT_CODES[this.code];
  }

  /** The same error with a place in a Containerfile, unless it has one already. */
  at(range: SourceRange): BuildError {
    if (this.range) return this;
    const located = new BuildError(this.code, this.message, {
      hint: this.hint,
      range,
      cause: this.cause,
      fields: this.fields,
      outputTail: this.outputTail,
    });
    if (this.stack) located.stack = this.stack;
    return located;
  }
}

/** Node's system error code (`ENOENT`, ...) of an unknown thrown value, if it is one. */
export function systemErrorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** What helps where a system call found no descriptor left (EMFILE, ENFILE); undefined for other errors. */
export function hintForOpenFiles(error: unknown): string | undefined {
  const code = systemErrorCode(error);
  // Node says it of a thread in words only
  const isThread = code === 'ERR_WORKER_INIT_FAILED' && error instanceof Error && error.message.includes('EMFILE');
  if (code !== 'EMFILE' && code !== 'ENFILE' && !isThread) return undefined;
  return 'Too many files are open: raise the limit with "ulimit -n 4096", or use fewer --jobs';
}
