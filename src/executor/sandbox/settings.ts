import type { ResourceLimits } from './cgroup.ts';
import type { HelperName } from './network/index.ts';
import type { SeccompProfile } from './seccomp/index.ts';

/** What a build may ask of the sandbox of all of its steps; what is absent has the default. Plain data. */
export interface SandboxSettings {
  /** Names as in capabilities(7), without CAP_: the whole bounding set. Default: Docker's. */
  readonly capabilities?: readonly string[] | undefined;
  /** No program gets more rights than who starts it, setuid or not (PR_SET_NO_NEW_PRIVS). */
  readonly noNewPrivileges?: boolean | undefined;
  /** Default: Docker's default profile. */
  readonly seccomp?: SeccompProfile | 'unconfined' | undefined;
  /** What steps see as their host's name. */
  readonly hostname?: string | undefined;
  /** Of all processes of a step together. */
  readonly limits?: ResourceLimits | undefined;
  readonly ulimits?: readonly Ulimit[] | undefined;
  /** Lines for /etc/hosts. */
  readonly hosts?: readonly HostEntry[] | undefined;
  readonly resolver?: ResolverSettings | undefined;
  /** What leads a private network out; default: what works. */
  readonly networkHelper?: HelperName | undefined;
  /** Of /dev/shm; default 64 MiB. */
  readonly shmSizeBytes?: number | undefined;
}

/** As in ulimit(1) of bash and getrlimit(2): bytes, seconds, counts. */
export interface Ulimit {
  /** `nofile`, `nproc`, ... */
  readonly resource: string;
  /** undefined: unlimited. */
  readonly soft: number | undefined;
  readonly hard: number | undefined;
}

/** Instead of an address: that of the host, so that what listens on its loopback can be reached. */
export const HOST_GATEWAY = 'host-gateway';

export interface HostEntry {
  readonly name: string;
  /** Or `HOST_GATEWAY`. */
  readonly address: string;
}

/** `image`: /etc/resolv.conf is that of the image. Else lists that stand in for those of the host where they are given. */
export type ResolverSettings =
  | 'image'
  | {
      readonly servers?: readonly string[] | undefined;
      /** `.` alone: none. */
      readonly search?: readonly string[] | undefined;
      readonly options?: readonly string[] | undefined;
    };
