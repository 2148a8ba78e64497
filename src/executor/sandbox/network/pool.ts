import { createNetwork, type Network, type NetworkRequest, type NetworkWish } from './create.ts';

/**
 * Networks for steps, one each. While steps with a private network are to come, one is made ready ahead: a helper takes 20 to
 * 50 ms. A default that cannot be private is the host's for good.
 */
export class NetworkPool {
  readonly #base: Pick<NetworkRequest, 'preferred' | 'path'>;
  #spare: { readonly key: string; readonly network: Promise<Network> } | undefined;
  #hasFallenBack = false;

  constructor(base: Pick<NetworkRequest, 'preferred' | 'path'>) {
    this.#base = base;
  }

  /** Makes one ready that will be asked for. */
  prepare(request: NetworkWish): void {
    if (this.#spare !== undefined || !this.#isPrivate(request)) return;
    const network = this.#create(request);
    network.catch(() => {}); // whoever takes it is told
    this.#spare = { key: keyOf(request), network };
  }

  /** `isLast`: no other is to be made ready. Throws as `createNetwork`. */
  async take(request: NetworkWish, isLast: boolean): Promise<Network> {
    const spare = this.#spare;
    const isOurs = spare?.key === keyOf(request);
    if (isOurs) this.#spare = undefined;
    const network = await (isOurs ? spare.network : this.#create(request));
    if (!isLast) this.prepare(request);
    return network;
  }

  async close(): Promise<void> {
    const network = await this.#spare?.network.catch(() => undefined);
    this.#spare = undefined;
    await network?.close();
  }

  #isPrivate({ mode }: Pick<NetworkRequest, 'mode'>): boolean {
    return mode === 'private' || (mode === 'default' && this.#base.preferred === 'private' && !this.#hasFallenBack);
  }

  async #create(request: NetworkWish): Promise<Network> {
    const preferred = this.#hasFallenBack ? 'host' : this.#base.preferred;
    const network = await createNetwork({ ...this.#base, ...request, preferred });
    if (request.mode === 'default' && network.kind === 'host') this.#hasFallenBack = true;
    return network;
  }
}

const keyOf = ({ mode, helper, reachesHost = false }: NetworkWish): string => `${mode} ${helper ?? ''} ${reachesHost}`;
