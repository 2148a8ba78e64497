import type { SessionOptions } from './api.ts';
import { BuildError } from './errors.ts';
import { climb, describeDescent, type Ladder, type NamespaceRung, type Rung } from './executor/index.ts';

/** Where steps will run on this machine, said in one line where it is not the first rung. Throws `E_NO_USERNS`, `E_NO_SUBUID`. */
export async function chooseRung({ emit }: SessionOptions): Promise<Rung> {
  const ladder = await climb();
  const { chosen } = ladder;
  if (chosen === undefined) throw failureOf(ladder);
  announce(ladder, emit);
  return chosen;
}

/** The same for what needs namespaces: throws also where steps of a build would run by chroot. */
export async function chooseNamespaceRung({ emit }: SessionOptions): Promise<NamespaceRung> {
  const ladder = await climb();
  const { chosen } = ladder;
  if (chosen?.isolation !== 'namespaces') throw failureOf(ladder);
  announce(ladder, emit);
  return chosen;
}

function announce(ladder: Ladder, emit: SessionOptions['emit']): void {
  const message = describeDescent(ladder);
  if (message !== undefined) emit({ type: 'info', message });
}

const failureOf = ({ failure }: Ladder): BuildError =>
  failure ?? new BuildError('E_NO_USERNS', 'Steps cannot run on this machine');
