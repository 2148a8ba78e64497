import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { BuildOptions, Environment } from './api.ts';
import type { SandboxOptions, VolumeSpec } from './build-options.ts';
import { readCaFile } from './ca-file.ts';
import { BuildError, systemErrorCode } from './errors.ts';
import {
  capabilitySet,
  isHelper,
  limitRefusal,
  type ProcessMount,
  parseProfile,
  type RunSettings,
  type SandboxSettings,
} from './executor/index.ts';
import type { Node } from './graph/index.ts';

/** What the options say of every RUN. Throws `E_USAGE`. */
export function runSettingsOf(
  options: SandboxOptions & Pick<BuildOptions, 'network' | 'caFile'>,
  env: Environment,
): RunSettings {
  const { capabilities = { add: [], drop: [] }, sandbox, httpProxy, volumes = [], timeoutMs, network } = options;
  const networkHelper = isHelper(network) ? network : undefined;
  return {
    sandbox: { ...sandbox, capabilities: capabilitySet(capabilities), seccomp: seccompOf(options), networkHelper },
    timeoutMs,
    caCertificates: readCaFile(options),
    proxyEnv: httpProxy === true ? proxiesOf(env) : [],
    mounts: volumes.map(volumeMount),
  };
}

function seccompOf({ seccomp }: SandboxOptions): SandboxSettings['seccomp'] {
  if (seccomp === undefined || seccomp === 'unconfined') return seccomp;
  let text: string;
  try {
    text = readFileSync(resolve(seccomp.file), 'utf8');
  } catch (cause) {
    throw new BuildError('E_USAGE', `Cannot read the seccomp profile "${seccomp.file}": ${reason(cause)}`, {
      hint: 'Name a file: --security-opt seccomp=FILE',
      cause,
    });
  }
  return parseProfile(text);
}

const PROXY = /^(https?|ftp|no|all)_proxy$/i;

const proxiesOf = (env: Environment): readonly (readonly [string, string])[] =>
  Object.entries(env).filter((pair): pair is [string, string] => PROXY.test(pair[0]) && pair[1] !== undefined);

/** A directory or file of the host, by its parent: the sandbox opens what is to be mounted inside a root. */
export function volumeMount({ source, target, readOnly }: VolumeSpec): ProcessMount {
  const path = resolve(source);
  const isDirectory = isDirectoryAt(path);
  return {
    kind: 'tree',
    target,
    root: { type: 'bind', source: isDirectory ? path : dirname(path) },
    source: isDirectory ? '/' : `/${basename(path)}`,
    readOnly,
    description: `--volume "${source}"`,
  };
}

function reason(cause: unknown): string {
  const code = systemErrorCode(cause) ?? 'error';
  return code === 'ENOENT' ? 'there is no such file or directory' : code;
}

function isDirectoryAt(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw new BuildError('E_USAGE', `Cannot use the volume "${path}": ${reason(cause)}`, {
      hint: 'Name a directory or file of this machine: --volume SOURCE:TARGET',
      cause,
    });
  }
}

/** Limits that nobody would enforce are an error as soon as a step would run without them. */
export function refuseLimits({ sandbox = {} }: SandboxOptions, runs: readonly Node[]): void {
  const [run] = runs;
  if (run === undefined) return;
  const refusal = limitRefusal(sandbox.limits ?? {});
  if (refusal !== undefined) throw refusal.at(run.range);
}
