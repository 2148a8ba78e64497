import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { BuildError } from '../../errors.ts';
import { newOwnedName } from '../../layers/index.ts';
import type { IdRange } from './id-map.ts';
import { chooseIdMaps } from './id-source.ts';
import type { Ladder } from './ladder.ts';
import { askedOwners } from './namespace.ts';
import { probeNetwork } from './network/index.ts';
import { findRuntimes } from './oci/runtime.ts';
import { mountRoot } from './root-mount.ts';
import { climbFor, RUNG_TITLES, RUNG_WEAKNESSES } from './rung.ts';
import type { Availability } from './sandbox.ts';
import { seccompRefusal } from './step-filter.ts';
import { detach, keepingDirectory } from './syscalls.ts';

export interface HostFinding {
  readonly name: string;
  readonly value: string;
  readonly hint?: string;
}

const total = (ranges: readonly IdRange[]): number => ranges.reduce((sum, { count }) => sum + count, 0);

/** For `tsbuild info`: what this machine allows, each with the way to make it better. Outside of the namespace. */
export async function probeHost(
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<readonly HostFinding[]> {
  const owners = askedOwners(env);
  const ladder = await climbFor(owners);
  return [
    ...describeLadder(ladder),
    { name: 'user namespaces', value: ladder.chosen?.isolation === 'namespaces' ? 'available' : 'unavailable' },
    probeIds({ path: env.PATH, owners }),
    await probeProgram('sh'),
    await probeProgram('mount'),
    ...(await probeNetwork(env.PATH, process.getuid?.() === 0)),
    probeSeccomp(ladder),
    probeRuntimes(env.PATH),
  ];
}

/** The rung that steps run on, what it lacks, and why each higher one is not possible. */
function describeLadder({ chosen, refused }: Ladder): readonly HostFinding[] {
  const title = chosen === undefined ? 'none: steps cannot run' : `${chosen.letter}: ${RUNG_TITLES[chosen.letter]}`;
  const weakness = chosen && RUNG_WEAKNESSES[chosen.letter];
  return [
    { name: 'rung', value: title },
    ...(weakness === undefined ? [] : [{ name: 'weaker', value: weakness }]),
    ...refused.map(({ letter, reason, fix }) => ({
      name: `rung ${letter}`,
      value: `not possible: ${reason}`,
      ...(fix === undefined ? {} : { hint: fix }),
    })),
  ];
}

/** Whether one works shows when it is asked for: in the namespace, by running it. */
function probeRuntimes(path: string | undefined): HostFinding {
  const name = 'oci runtimes';
  const found = findRuntimes(path);
  if (found.length > 0) return { name, value: `${found.join(', ')}; --isolation oci tries them` };
  return { name, value: 'none found', hint: 'Only --isolation oci needs one: crun, runc or youki' };
}

function probeSeccomp({ chosen }: Ladder): HostFinding {
  const name = 'seccomp';
  if (chosen?.isolation === 'chroot') return { name, value: `steps have no filter of their own, ${inheritedFilter()}` };
  const refusal = seccompRefusal();
  if (refusal === undefined) return { name, value: "steps run with Docker's default profile" };
  const hint = 'Steps run without a filter: use a kernel with CONFIG_SECCOMP_FILTER on x86_64 or aarch64';
  return { name, value: `unavailable: ${refusal}`, hint };
}

const inheritedFilter = (): string =>
  /^Seccomp:\s*2$/m.test(readFileSync('/proc/self/status', 'utf8'))
    ? 'but that of the container'
    : 'and the container has none';

const WRITERS = {
  self: 'written by root',
  newuidmap: 'mapped by newuidmap',
  single: 'written by the user; other owners are recorded',
} as const;

function probeIds(asked: Parameters<typeof chooseIdMaps>[0]): HostFinding {
  const name = 'user ids';
  try {
    const { uids, gids, writer } = chooseIdMaps(asked);
    const [ofUsers, ofGroups] = [total(uids), total(gids)];
    const counts = `${ofUsers} uid${ofUsers === 1 ? '' : 's'} and ${ofGroups} gid${ofGroups === 1 ? '' : 's'}`;
    return { name, value: `${counts}, ${WRITERS[writer]}` };
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    return { name, value: `unavailable: ${error.message}`, ...(error.hint === undefined ? {} : { hint: error.hint }) };
  }
}

async function probeProgram(program: string): Promise<HostFinding> {
  try {
    const { stdout } = await promisify(execFile)('sh', ['-c', `command -v ${program}`]);
    return { name: program, value: stdout.trim() };
  } catch {
    // Whatever failed, the sandbox would fail in the same way.
    return { name: program, value: 'not found', hint: `Install ${program}: the sandbox uses it to start a step` };
  }
}

/** Whether this process can set up a step: it needs to be root in a user namespace, with a /proc that it may mount again. */
export function probeNamespace(): Availability {
  const status = readFileSync('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s*(\w+)$/m.exec(status)?.[1] ?? '0'}`);
  const CAP_SYS_ADMIN = 21n;
  if ((effective >> CAP_SYS_ADMIN) & 1n) return { ok: true, detail: 'namespaces, overlay, capabilities of Docker' };
  return {
    ok: false,
    reason: 'this process may not mount',
    hint: 'Steps run inside the namespace that enterNamespace makes',
  };
}

/**
 * Mounts a writable overlay in `directory` and writes to it, as a step does. Inside the namespace only. `undefined`: it
 * works; otherwise why not.
 */
export function overlayRefusal(directory: string): string | undefined {
  const base = `${directory}/${newOwnedName()}`;
  mkdirSync(base, { mode: 0o700 });
  let isMounted = false;
  try {
    for (const name of ['lower', 'upper', 'work', 'mnt']) mkdirSync(`${base}/${name}`);
    const root = {
      type: 'overlay',
      source: 'overlay',
      lower: [`${base}/lower`],
      upper: `${base}/upper`,
      work: `${base}/work`,
    } as const;
    keepingDirectory(() => mountRoot(root, { target: `${base}/mnt`, links: `${base}/links` }));
    isMounted = true;
    mkdirSync(`${base}/mnt/written`);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    if (isMounted) detach(`${base}/mnt`);
    rmSync(base, { recursive: true, force: true });
  }
}

/** See `overlayRefusal`. */
export const overlayWorks = (directory: string): boolean => overlayRefusal(directory) === undefined;
