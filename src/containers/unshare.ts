import type { SelfCommand, SessionOptions } from '../api.ts';
import { stateDirectory, uidOf } from '../assembly.ts';
import { enterNamespace } from '../executor/index.ts';
import { chooseNamespace } from '../rung.ts';
import type { UserStreams } from '../user-streams.ts';

/**
 * Runs a program of this machine in a user and mount namespace as builds have it: root over the ids of the user, who sees the
 * owners of his layers so and may remove them. Returns its status.
 */
export async function runUnshared(
  command: readonly [string, ...string[]],
  options: SessionOptions & { readonly streams: UserStreams },
): Promise<number> {
  const [execPath, ...args] = command;
  const own = { TSBUILD_ROOT: stateDirectory(options), TSBUILD_UID: String(uidOf(options.env)) };
  const program: SelfCommand = { execPath, args, env: { ...options.env, ...own } };
  const rung = await chooseNamespace(options);
  // the keys of the terminal reach the program by themselves
  const release = options.streams.onSignal(() => {});
  try {
    return await enterNamespace(program, { rung, keepsSession: true, signals: ['SIGTERM', 'SIGHUP'] });
  } finally {
    release();
  }
}
