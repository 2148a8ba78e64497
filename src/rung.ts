import type { SessionOptions } from './api.ts';
import { BuildError } from './errors.ts';
import { askedOwners, climbFor, describeDescent, type NamespaceRung } from './executor/index.ts';

/** Where steps will run on this machine, said in one line where it is not the first rung. Throws `E_NO_USERNS`, `E_NO_SUBUID`. */
export async function chooseRung({ emit, env }: SessionOptions): Promise<NamespaceRung> {
  const ladder = await climbFor(askedOwners(env));
  const { chosen, failure } = ladder;
  if (chosen?.isolation !== 'namespaces')
    throw failure ?? new BuildError('E_NO_USERNS', 'Steps cannot run on this machine');
  const message = describeDescent(ladder);
  if (message !== undefined) emit({ type: 'info', message });
  return chosen;
}
