import type { Writable } from 'node:stream';
import type { Mount } from '../../layers/index.ts';
import type { NetworkMode } from './network/index.ts';
import type { TerminalSize } from './process-calls.ts';
import type { SandboxSettings } from './settings.ts';

export type Availability =
  | { readonly ok: true; readonly detail?: string }
  | { readonly ok: false; readonly reason: string; readonly hint: string };

/** What runs in a step: plain data, so that a test can look at it without Linux. Ids are those inside the namespace. */
export interface ProcessSpec {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  readonly network: NetworkMode;
  readonly hostname: string;
  /**
   * Directories that must exist before the process starts (WORKDIR): missing ones are made in the root, with their
   * missing parents, mode 0755 and this owner; links are followed inside the root; existing ones are not touched.
   * They are part of the layer.
   */
  readonly directories: readonly { readonly path: string; readonly uid: number; readonly gid: number }[];
  /** Extra read-only files (the heredoc script), mode 0755, owner root; their stubs are not in the layer. */
  readonly files: readonly { readonly path: string; readonly content: string }[];
  /** What is mounted over the root, in any order; what has to be made to mount on is not in the layer. */
  readonly mounts: readonly ProcessMount[];
  readonly settings?: SandboxSettings | undefined;
}

/** Absolute, clean targets; links on the way are followed inside the root. */
export type ProcessMount = { readonly target: string } & (
  | {
      /** A directory or file of another root, at `source` in it; links are followed inside that root. */
      readonly kind: 'tree';
      readonly root: Mount;
      readonly source: string;
      readonly readOnly: boolean;
      /** Nobody else uses the root while the step runs: it may be moved instead of mounted. */
      readonly isPrivate?: boolean | undefined;
      /** For messages: `stage "build"`. */
      readonly description: string;
    }
  | { readonly kind: 'tmpfs'; readonly sizeBytes?: number | undefined; readonly readOnly: boolean }
  /** A read-only file that exists in memory only. */
  | ({ readonly kind: 'secret'; readonly content: Uint8Array } & FileOwner)
  /** A socket of this process, by its path. */
  | { readonly kind: 'socket'; readonly path: string }
);

export interface FileOwner {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface SandboxIo {
  /** Chunks as the process wrote them; from a terminal all is `stdout`. */
  readonly onOutput: (stream: 'stdout' | 'stderr', chunk: Uint8Array) => void;
  /** Absent: the process reads an empty input, and nobody is told that it runs. */
  readonly interaction?: Interaction | undefined;
}

/** For a process that somebody uses while it runs. */
export interface Interaction {
  /** Its standard input comes from `StartedProcess.stdin`; else it is empty. */
  readonly hasInput: boolean;
  /** It gets a terminal of its own for all three streams. */
  readonly terminal?: TerminalSize | undefined;
  readonly onStarted: (process: StartedProcess) => void;
}

export interface StartedProcess {
  /** As seen by this process. */
  readonly pid: number;
  /** PID 1 of its pid namespace, as seen by this process: killing it kills everything. */
  readonly init: number;
  /** Ending it is the end of the input. */
  readonly stdin: Writable | undefined;
  resize(size: TerminalSize): void;
}

export type ExitStatus =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signaled'; readonly signal: string }
  /** The process could not be started: e.g. the program is missing (127) or not executable (126). */
  | { readonly kind: 'not-started'; readonly reason: string };

/** Runs one process in one root. A non-zero exit is a result, not an error. */
export interface Sandbox {
  readonly name: string;
  probe(): Promise<Availability>;
  /**
   * `root`: how to mount the root directory. Paths that the sandbox had to make in the root to mount over
   * (`/proc`, `/etc/resolv.conf`, ...) are reported, so that they are left out of the layer.
   * Aborting kills every process of the step. No mount and no process is left in any case.
   */
  run(spec: ProcessSpec, root: Mount, io: SandboxIo, signal: AbortSignal): Promise<SandboxResult>;
}

export interface SandboxResult {
  readonly status: ExitStatus;
  /** Absolute paths to leave out of the layer. */
  readonly stubs: readonly string[];
}
