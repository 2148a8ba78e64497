import type { SandboxOptions } from '../index.ts';
import { usageError } from './usage.ts';

export interface SecurityOptions {
  readonly noNewPrivileges: boolean;
  readonly seccomp: SandboxOptions['seccomp'];
}

/** What is so in any case: steps have no SELinux label or AppArmor profile of their own. */
const ALWAYS = ['label=disable', 'apparmor=unconfined'];

/** The values of `--security-opt`, of which the last of a kind counts. As in docker, `:` may stand for `=`. */
export function parseSecurity(texts: readonly string[]): SecurityOptions {
  return texts.reduce(add, { noNewPrivileges: false, seccomp: undefined });
}

function add(before: SecurityOptions, text: string): SecurityOptions {
  const [, name = '', value] = /^([^:=]+)(?:[:=](.*))?$/.exec(text) ?? [];
  if (name === 'no-new-privileges' && [undefined, 'true', 'false'].includes(value))
    return { ...before, noNewPrivileges: value !== 'false' };
  if (name === 'seccomp' && value) return { ...before, seccomp: seccompOf(value) };
  if (ALWAYS.includes(`${name}=${value}`)) return before;
  throw usageError(
    `--security-opt "${text}" is not supported`,
    `there are seccomp=FILE, seccomp=unconfined, no-new-privileges and, always so, ${ALWAYS.join(', ')}`,
  );
}

function seccompOf(value: string): SandboxOptions['seccomp'] {
  if (value === 'builtin') return undefined;
  return value === 'unconfined' ? value : { file: value };
}
