import type { Delegated, RegistryAccess, SelfCommand, SessionOptions } from '../api.ts';
import type { VolumeSpec } from '../build-options.ts';
import type { NetworkChoice } from '../executor/index.ts';
import type { UserStreams } from '../user-streams.ts';
import type { PublishedPort } from './publish.ts';
import type { ContainerStatus } from './record.ts';

interface Attaching {
  /** `-i` */
  readonly hasInput: boolean;
  /** `-t` */
  readonly hasTerminal: boolean;
  /** `-e`; undefined: not to be set. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly user?: string | undefined;
  readonly cwd?: string | undefined;
  readonly streams: UserStreams;
  /** How to run this very command again in the namespace. */
  readonly self: SelfCommand;
}

export interface RunOptions extends SessionOptions, RegistryAccess, Attaching {
  /** Name or id; pulled where the store has none. */
  readonly image: string;
  readonly command: readonly string[];
  readonly name?: string | undefined;
  readonly isDetached: boolean;
  /** `--rm` */
  readonly isTransient: boolean;
  readonly publish: readonly PublishedPort[];
  readonly volumes: readonly VolumeSpec[];
  readonly entrypoint?: string | undefined;
  /** `default`: with published ports its own, which leads out where that works; else as that of a step. */
  readonly network: NetworkChoice;
  /** Called with the id of a detached container as soon as it runs. */
  readonly onDetached: (id: string) => void;
}

export interface ExecOptions extends SessionOptions, Attaching {
  readonly command: readonly string[];
}

/** The status of the program (128 + n for a signal), or of the run inside the namespace. */
export type ProgramResult = Delegated | { readonly kind: 'ended'; readonly exitCode: number };

export interface ContainerSummary {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly imageId: string;
  readonly command: readonly string[];
  /** RFC 3339. */
  readonly created: string;
  readonly status: ContainerStatus;
  readonly started?: string | undefined;
  readonly ended?: string | undefined;
  readonly exitCode?: number | undefined;
  readonly ports: readonly PublishedPort[];
}
