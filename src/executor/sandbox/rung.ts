import type { Owners } from '../../layers/index.ts';
import type { IdMaps } from './id-source.ts';
import type { Ladder, Refusal, RungLetter } from './ladder.ts';
import { attemptChroot, attemptNamespace, findIds, type IdsFinding, type NamespaceFinding } from './rung-attempts.ts';

export const RUNG_TITLES: Readonly<Record<RungLetter, string>> = {
  a: 'root, in namespaces',
  b: 'an ordinary user with sub-ids, in namespaces',
  c: 'an ordinary user with one id, in namespaces',
  d: 'root in a container without namespaces: chroot',
  e: "in namespaces, with the container's /proc",
};

/** What a step lacks there; for the line of the build and for `tsbuild info`. */
export const RUNG_WEAKNESSES: Readonly<Partial<Record<RungLetter, string>>> = {
  c: 'files belong to one id; other owners are recorded, not real',
  d: "a step runs as the container's root with its processes and network: only the container keeps it in; no /proc, no /sys",
  e: "a step sees the container's processes",
};

export interface Attempts {
  readonly ids: () => IdsFinding;
  readonly namespace: (maps: IdMaps) => Promise<NamespaceFinding>;
  readonly chroot: () => Promise<{ readonly refusal?: Omit<Refusal, 'letter'> | undefined }>;
}

const REAL: Attempts = { ids: findIds, namespace: attemptNamespace, chroot: attemptChroot };

/** As `climb`, on rungs with these owners only. */
export const climbFor = (owners: Owners | undefined): Promise<Ladder> => climb({ ...REAL, ids: () => findIds(owners) });

/** Tries the rungs from the top, each by doing for real what a step does; about 8 ms on a host. Outside of the namespace only. */
export async function climb(attempts: Attempts = REAL): Promise<Ladder> {
  const { kind, maps, refused: ids } = attempts.ids();
  const refused: Refusal[] = [...ids];
  if (maps === undefined) return { chosen: undefined, refused, failure: ids.at(-1)?.failure };
  const found = await attempts.namespace(maps);
  if (found.proc === 'own') return { chosen: { letter: kind, isolation: 'namespaces', maps, proc: 'own' }, refused };
  const { reason, fix } = found;
  refused.push({ letter: kind, reason, fix });
  if (found.proc === 'container')
    return { chosen: { letter: 'e', isolation: 'namespaces', maps, proc: 'container' }, refused };
  refused.push({ letter: 'e', reason, fix });
  if (kind !== 'a') {
    refused.push({ letter: 'd', reason: 'only root can do it' });
    return { chosen: undefined, refused, failure: found.failure };
  }
  const { refusal } = await attempts.chroot();
  if (refusal === undefined) return { chosen: { letter: 'd', isolation: 'chroot' }, refused, failure: found.failure };
  return { chosen: undefined, refused: [...refused, { letter: 'd', ...refusal }], failure: found.failure };
}

/** The line of a build on a rung that is not the first for this user; undefined on the first. */
export function describeDescent({ chosen, refused }: Ladder): string | undefined {
  if (chosen === undefined || chosen.letter === 'a' || chosen.letter === 'b') return undefined;
  const higher = refused.findLast(({ letter, fix }) => letter !== chosen.letter && fix !== undefined);
  const weakness = RUNG_WEAKNESSES[chosen.letter];
  const parts = [
    `Sandbox on rung ${chosen.letter}: ${RUNG_TITLES[chosen.letter]}`,
    ...(weakness === undefined ? [] : [weakness]),
    ...(higher === undefined ? [] : [`rung ${higher.letter} is not possible: ${higher.reason}`]),
  ];
  return `${parts.join('; ')} (tsbuild info says more)`;
}
