import type { IsolationOptions, SessionOptions } from './api.ts';
import { BuildError } from './errors.ts';
import { askedOwners, climbFor, describeDescent, type NamespaceRung, type Rung } from './executor/index.ts';

/** Where steps will run on this machine, said in one line where it is not the first rung. Throws `E_NO_USERNS`, `E_NO_SUBUID`. */
export async function chooseRung({ emit, env, isolation }: SessionOptions & IsolationOptions): Promise<Rung> {
  const ladder = await climbFor(askedOwners(env));
  const { chosen, failure } = ladder;
  if (chosen === undefined) throw failure ?? new BuildError('E_NO_USERNS', 'Steps cannot run on this machine');
  refuseIsolation(isolation, chosen, failure);
  const message = describeDescent(ladder);
  if (message !== undefined) emit({ type: 'info', message });
  return chosen;
}

function refuseIsolation(
  isolation: IsolationOptions['isolation'],
  { isolation: found }: Rung,
  failure?: BuildError,
): void {
  if (isolation === 'chroot' && found === 'namespaces') {
    throw new BuildError('E_UNSUPPORTED', '--isolation chroot is for containers without namespaces only', {
      hint: 'Use --isolation auto: here, a step in a mere chroot would have all the rights of your user',
    });
  }
  if ((isolation === 'builtin' || isolation === 'oci') && found === 'chroot') {
    throw new BuildError('E_NO_USERNS', `Cannot use --isolation ${isolation}: ${failure?.message ?? 'no namespaces'}`, {
      hint: failure?.hint ?? 'Use --isolation auto',
    });
  }
}

/** For what needs a namespace in any case: containers that stay, a shell in it. Throws as above, and on rung d. */
export async function chooseNamespace(session: SessionOptions): Promise<NamespaceRung> {
  const rung = await chooseRung(session);
  if (rung.isolation === 'namespaces') return rung;
  throw new BuildError('E_NO_USERNS', 'Cannot do this without namespaces, which this container has none of to give', {
    hint: 'Run "tsbuild info": it says what forbids them, and the fix',
  });
}
