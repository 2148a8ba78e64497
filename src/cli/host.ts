import type { Writable } from 'node:stream';
import type * as operations from '../index.ts';
import type { UserTerminal } from '../index.ts';

/** The operations that commands call; tests give their own. */
export type Operations = typeof operations;

export interface OutputStream {
  write(chunk: string | Uint8Array): boolean;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

export type InputStream = AsyncIterable<Uint8Array> & { readonly isTTY?: boolean | undefined };

/**
 * Everything of the process that commands may touch. `main.ts` makes the real one; nothing else in the program knows
 * `process`.
 */
export interface Host {
  /** What follows the program's name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly execPath: string;
  /** The script and node's own options: what stands before `args` to run the program again. */
  readonly selfArgs: readonly string[];
  readonly stdin: InputStream;
  /** Results only. */
  readonly stdout: OutputStream;
  /** Everything else. */
  readonly stderr: OutputStream;
  readonly signal: AbortSignal;
  /** The terminal that standard input is. */
  readonly terminal?: UserTerminal | undefined;
  /** From now on signals come here only, until the returned function is called. */
  onSignal?(listener: (signal: NodeJS.Signals) => void): () => void;
  /** Standard output as a stream, for `-o dest=-`. */
  readonly archiveStdout?: Writable | undefined;
  /** Milliseconds, monotonic. */
  now(): number;
  /** Reads a line from the terminal; without echo for secrets. */
  ask(question: string, options: { readonly isSecret: boolean }): Promise<string>;
}

/** Set for the run inside the namespace: its parent has already begun the output. */
export const REPEATED_VARIABLE = 'TSBUILD_REPEATED';

export function isRepeatedRun(host: Host): boolean {
  return host.env[REPEATED_VARIABLE] === '1';
}

export function hasColour({ env, stderr }: Pick<Host, 'env' | 'stderr'>): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR && env.FORCE_COLOR !== '0') return true;
  return stderr.isTTY === true && env.TERM !== 'dumb';
}
