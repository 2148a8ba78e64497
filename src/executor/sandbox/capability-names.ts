import { BuildError } from '../../errors.ts';
import { suggest } from '../../parser/index.ts';

/** In the order of their numbers (linux/capability.h). */
const NAMES: readonly string[] = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN ' +
  'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
).split(' ');

/** What Docker leaves to a container: CapBnd 00000000a80425fb. */
export const DEFAULT_CAPABILITIES: readonly string[] =
  'CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP'.split(
    ' ',
  );

export const numberOfCapability = (name: string): number => NAMES.indexOf(name);

export interface CapabilityChanges {
  /** With or without CAP_, in any case; `ALL`. */
  readonly add: readonly string[];
  readonly drop: readonly string[];
}

/**
 * The bounding set by `--cap-add` and `--cap-drop`, by number; undefined: the default. As in Docker: `--cap-drop ALL` leaves
 * what is added, `--cap-add ALL` what is not dropped. Throws `E_USAGE`.
 */
export function capabilitySet({ add, drop }: CapabilityChanges): readonly string[] | undefined {
  if (add.length === 0 && drop.length === 0) return undefined;
  const added = add.map((name) => known(name, '--cap-add'));
  const dropped = drop.map((name) => known(name, '--cap-drop'));
  const both = added.find((name) => dropped.includes(name));
  if (both !== undefined) {
    throw new BuildError('E_USAGE', `Capability "${both}" is both added and dropped`, {
      hint: 'Decide for one of them',
    });
  }
  const start = added.includes('ALL') ? NAMES : dropped.includes('ALL') ? [] : DEFAULT_CAPABILITIES;
  const wanted = new Set([...start.filter((name) => !dropped.includes(name)), ...added]);
  const result = NAMES.filter((name) => wanted.has(name));
  return result.join() === NAMES.filter((name) => DEFAULT_CAPABILITIES.includes(name)).join() ? undefined : result;
}

function known(text: string, option: string): string {
  const name = text.toUpperCase().replace(/^CAP_/, '');
  if (name === 'ALL' || NAMES.includes(name)) return name;
  const near = suggest(name, NAMES);
  throw new BuildError('E_USAGE', `${option} "${text}" is no capability`, {
    hint:
      near === undefined
        ? 'Capabilities are listed in capabilities(7); for example NET_ADMIN, or ALL'
        : `Did you mean "${near}"?`,
  });
}
