import { createHash } from 'node:crypto';
import type { Json } from '../oci/index.ts';
import type { ProcessMount, SandboxIo, SandboxSettings } from './sandbox/index.ts';

/** `start` runs a shell where the step has failed, and resolves when it has ended. */
export type InspectFailure = (
  step: string,
  start: (io: SandboxIo, signal: AbortSignal) => Promise<unknown>,
) => Promise<void>;

/** What the command line says of every RUN. */
export interface RunSettings {
  readonly sandbox?: SandboxSettings | undefined;
  /** Proxy variables of the caller; a build argument of the same name wins. No part of any key. */
  readonly proxyEnv?: readonly (readonly [string, string])[] | undefined;
  /** A step that takes longer fails; no part of any key. */
  readonly timeoutMs?: number | undefined;
  /** PEM: certificates that steps trust, as far as programs can be told. No part of any key. */
  readonly caCertificates?: readonly string[] | undefined;
  /** Asked when the command of a step has failed, before its root goes; no part of any key. */
  readonly inspect?: InspectFailure | undefined;
  /** Mounted in every step. */
  readonly mounts?: readonly ProcessMount[] | undefined;
}

/**
 * What of the settings may change a step's result, for its key; undefined: nothing differs from the default. Left out is
 * what only says where the network is: addresses, name servers, proxies; and the size of /dev/shm, without which a step
 * fails rather than ending differently.
 */
export function keyedSettings({ sandbox = {} }: RunSettings): Json | undefined {
  const { capabilities, noNewPrivileges, seccomp, hostname, ulimits = [], hosts = [] } = sandbox;
  const keyed = {
    ...(capabilities === undefined ? {} : { capabilities }),
    ...(noNewPrivileges === true ? { noNewPrivileges } : {}),
    ...(seccomp === undefined ? {} : { seccomp: seccompText(seccomp) }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(ulimits.length === 0 ? {} : { ulimits: ulimits.map(limitText).sort() }),
    ...(hosts.length === 0 ? {} : { hosts: hosts.map(({ name }) => name).sort() }),
  };
  return Object.keys(keyed).length === 0 ? undefined : keyed;
}

/** A profile by its content. */
function seccompText(seccomp: NonNullable<SandboxSettings['seccomp']>): string {
  if (seccomp === 'unconfined') return seccomp;
  const text = JSON.stringify(seccomp, (_key, value) => (typeof value === 'bigint' ? String(value) : value));
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

const limitText = ({ resource, soft, hard }: NonNullable<SandboxSettings['ulimits']>[number]): string =>
  `${resource}=${soft ?? 'unlimited'}:${hard ?? 'unlimited'}`;
