import { identityOf, type ProcessIdentity } from '../store/index.ts';
import type { PublishedPort } from './publish.ts';

/** A process, so that another one with its number is not taken for it. */
export interface ProcessMark extends ProcessIdentity {
  readonly pid: number;
}

/** What is known of a container. Written by its monitor only, from `starting` to `exited`. */
export interface ContainerRecord {
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  /** As the user wrote it. */
  readonly image: string;
  readonly imageId: string;
  readonly argv: readonly string[];
  /** RFC 3339. */
  readonly created: string;
  readonly ports: readonly PublishedPort[];
  /** `--rm` */
  readonly isTransient: boolean;
  readonly stopSignal: string;
  /** Defaults of `exec`. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: string;
  /** The process that holds the container: without it, nothing of the container runs. */
  readonly monitor: ProcessMark;
  readonly state: ContainerState;
}

export type ContainerState =
  | { readonly kind: 'starting' }
  | {
      readonly kind: 'running';
      readonly started: string;
      /** PID 1 of the container: killing it kills all. */
      readonly init: ProcessMark;
      /** The image's program. */
      readonly program: ProcessMark;
    }
  | { readonly kind: 'exited'; readonly exitCode: number; readonly ended: string };

/**
 * What is so now, whatever the record says. `lost`: the monitor is gone and has not said how it ended (killed, or the machine
 * was started anew). `elsewhere`: the monitor lives in another pid namespace, where we cannot look.
 */
export type ContainerStatus = ContainerState['kind'] | 'lost' | 'elsewhere';

export const markOf = (pid: number): ProcessMark => ({ pid, ...identityOf(pid) });

export type Liveness = 'alive' | 'gone' | 'elsewhere';

/** Compares with what runs under that number now: `look` is `identityOf`. */
export function livenessOf(mark: ProcessMark, look: (pid: number) => ProcessIdentity = identityOf): Liveness {
  const here = look(mark.pid);
  if (here.boot !== mark.boot) return 'gone';
  if (here.pidNamespace !== mark.pidNamespace) return 'elsewhere';
  return here.processStart !== '' && here.processStart === mark.processStart ? 'alive' : 'gone';
}

export function statusOf(
  { state, monitor }: Pick<ContainerRecord, 'state' | 'monitor'>,
  look: (pid: number) => ProcessIdentity = identityOf,
): ContainerStatus {
  if (state.kind === 'exited') return 'exited';
  const liveness = livenessOf(monitor, look);
  if (liveness !== 'alive') return liveness === 'gone' ? 'lost' : 'elsewhere';
  return state.kind;
}
