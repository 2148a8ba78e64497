import type { BuildError } from '../../errors.ts';
import type { IdMaps } from './id-source.ts';

/**
 * What a step has around it, best first. `a` root on a host, `b` an ordinary user with sub-ids, `c` one without: one id;
 * `e` as a, b or c, but with the /proc of the container; `d` root in a container without namespaces: chroot.
 */
export type RungLetter = 'a' | 'b' | 'c' | 'd' | 'e';

export interface NamespaceRung {
  readonly letter: 'a' | 'b' | 'c' | 'e';
  readonly isolation: 'namespaces';
  readonly maps: IdMaps;
  /** `container`: a step's /proc is the one that this process has, and its process ids too. */
  readonly proc: 'own' | 'container';
}

export type Rung = NamespaceRung | { readonly letter: 'd'; readonly isolation: 'chroot' };

/** A rung that is not possible here. */
export interface Refusal {
  readonly letter: RungLetter;
  /** Lower case, without a full stop. */
  readonly reason: string;
  /** What makes it possible; absent: nothing would (another kind of user). */
  readonly fix?: string | undefined;
}

export interface Ladder {
  readonly chosen: Rung | undefined;
  /** In the order of the ladder: every rung that could not be had. */
  readonly refused: readonly Refusal[];
  /** What to throw where no rung with namespaces is possible. */
  readonly failure?: BuildError | undefined;
}
