import type { SessionOptions } from './api.ts';
import { BuildError } from './errors.ts';
import { askedOwners, climbFor, describeDescent, type NamespaceRung, type Rung } from './executor/index.ts';

/** Where steps will run on this machine, said in one line where it is not the first rung. Throws `E_NO_USERNS`, `E_NO_SUBUID`. */
export async function chooseRung({ emit, env }: SessionOptions): Promise<Rung> {
  const ladder = await climbFor(askedOwners(env));
  const { chosen, failure } = ladder;
  if (chosen === undefined) throw failure ?? new BuildError('E_NO_USERNS', 'Steps cannot run on this machine');
  const message = describeDescent(ladder);
  if (message !== undefined) emit({ type: 'info', message });
  return chosen;
}

/** For what needs a namespace in any case: containers that stay, a shell in it. Throws as above, and on rung d. */
export async function chooseNamespace(session: SessionOptions): Promise<NamespaceRung> {
  const rung = await chooseRung(session);
  if (rung.isolation === 'namespaces') return rung;
  throw new BuildError('E_NO_USERNS', 'Cannot do this without namespaces, which this container has none of to give', {
    hint: 'Run "tsbuild info": it says what forbids them, and the fix',
  });
}
