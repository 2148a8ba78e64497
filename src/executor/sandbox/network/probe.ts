import { BuildError } from '../../../errors.ts';
import { createNetwork } from './create.ts';
import { HELPERS, type HelperName } from './mode.ts';

interface NetworkFinding {
  readonly name: string;
  readonly value: string;
  readonly hint?: string;
}

interface Attempt {
  readonly name: HelperName;
  readonly failure?: BuildError;
}

/**
 * For `tsbuild info`: makes a private network with each helper, outside of the namespace, and says what steps get by default:
 * root the host's network, an ordinary user a private one where that works.
 */
export async function probeNetwork(path: string | undefined, isRoot: boolean): Promise<readonly NetworkFinding[]> {
  const attempts = await Promise.all(HELPERS.map((name) => attempt(name, path)));
  const working = attempts.filter(({ failure }) => failure === undefined).map(({ name }) => name);
  const best = working[0];
  const usual = isRoot || best === undefined ? "the host's" : `private, by ${best}`;
  const network = { name: 'network', value: `${usual}, unless --network says otherwise` };
  if (best !== undefined) return [network, { name: 'private network', value: `by ${working.join(' or ')}` }];
  const failure = attempts[0]?.failure;
  const value = `unavailable: ${[...new Set(attempts.map(({ failure: each }) => reasonOf(each)))].join('; ')}`;
  const hint = failure?.hint?.replace('Use --network=host, or ', '');
  return [network, { name: 'private network', value, ...(hint === undefined ? {} : { hint }) }];
}

const reasonOf = (failure: BuildError | undefined): string => failure?.message.replace(/^.*?network: /, '') ?? '';

async function attempt(name: HelperName, path: string | undefined): Promise<Attempt> {
  try {
    const network = await createNetwork({ mode: 'private', helper: name, path, owner: 'own' });
    await network.close();
    return { name };
  } catch (failure) {
    if (failure instanceof BuildError) return { name, failure };
    throw failure;
  }
}
