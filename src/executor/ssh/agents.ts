import { chmodSync, closeSync, constants, openSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { BuildError, systemErrorCode } from '../../errors.ts';
import { giveTo, type Owners } from '../../layers/index.ts';
import type { FileOwner } from '../sandbox/index.ts';
import { type AgentPlace, type OwnAgent, startAgent } from './own-agent.ts';
import { openRelay } from './relay.ts';

/** `--ssh id=path,...`: one socket of an agent, or files of private keys. */
export interface SshIdentity {
  readonly id: string;
  readonly paths: readonly string[];
}

export interface SshAgentsOptions extends AgentPlace {
  readonly identities: readonly SshIdentity[];
  readonly owners: Owners;
}

/** The agents of one build; those that it had to start end with it. */
export class SshAgents implements AsyncDisposable {
  readonly #options: SshAgentsOptions;
  readonly #started = new Map<string, Promise<OwnAgent>>();

  constructor(options: SshAgentsOptions) {
    this.#options = options;
  }

  /** A socket for one step; undefined: nobody gave an agent of that id. Throws `E_NO_SECRET`. */
  async open(id: string, owner: FileOwner): Promise<(AsyncDisposable & { readonly path: string }) | undefined> {
    const identity = this.#options.identities.findLast((candidate) => candidate.id === id);
    if (!identity) return undefined;
    const agent = await this.#socketOf(identity);
    const { createActive, remove } = this.#options;
    const directory = await createActive();
    const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    const path = `${directory}/agent`;
    const close = async (): Promise<void> => {
      closeSync(fd);
      await remove([directory]);
    };
    try {
      const relay = await openRelay(`/proc/self/fd/${fd}/agent`, agent);
      giveAgent(path, owner, this.#options.owners);
      chmodSync(path, owner.mode);
      return {
        path,
        [Symbol.asyncDispose]: async () => {
          await relay.close();
          await close();
        },
      };
    } catch (error) {
      await close();
      throw error;
    }
  }

  async #socketOf({ id, paths }: SshIdentity): Promise<string> {
    const [first = ''] = paths;
    if (paths.length === 1 && kindOf(id, first) === 'socket') return resolve(first);
    const keys = paths.map((path) => {
      if (kindOf(id, path) === 'key') return resolve(path);
      throw new BuildError('E_NO_SECRET', `Cannot use "${path}" for the ssh agent "${id}": a socket stands alone`, {
        hint: 'Give one socket, or files of keys',
      });
    });
    const agent = this.#started.get(id) ?? startAgent(id, keys, this.#options);
    this.#started.set(id, agent);
    return (await agent).socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#started.values()) {
      await agent.then(
        (started) => started.stop(),
        () => {}, // it never ran; whoever asked for it was told
      );
    }
    this.#started.clear();
  }
}

function giveAgent(path: string, { uid, gid }: FileOwner, owners: Owners): void {
  try {
    giveTo(path, { uid, gid }, owners);
  } catch (cause) {
    if (systemErrorCode(cause) !== 'EINVAL') throw cause;
    throw new BuildError('E_ID_NOT_MAPPED', `Cannot give an ssh agent to ${uid}:${gid}: this build has no such id`, {
      hint: 'Use a smaller id, or give your user more ids in /etc/subuid and /etc/subgid',
      cause,
    });
  }
}

function kindOf(id: string, path: string): 'socket' | 'key' {
  try {
    const stat = statSync(path);
    if (stat.isSocket()) return 'socket';
    if (stat.isFile()) return 'key';
  } catch (cause) {
    throw new BuildError('E_NO_SECRET', `Cannot use "${path}" for the ssh agent "${id}": ${systemErrorCode(cause)}`, {
      hint: "Name an agent's socket or the file of a private key",
      cause,
    });
  }
  throw new BuildError('E_NO_SECRET', `Cannot use "${path}" for the ssh agent "${id}": neither a socket nor a file`, {
    hint: "Name an agent's socket or the file of a private key",
  });
}
