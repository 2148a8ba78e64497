import { spawn } from 'node:child_process';
import { BuildError } from '../../errors.ts';
import { exitOf, forwardSignals, MARKER, ownersOf, type SelfCommand } from './namespace.ts';

/**
 * Runs this command again in the user namespace of a process, as root there, and returns its exit status. Else as
 * `enterNamespace`; the mount namespace stays that of the host.
 */
export async function joinNamespace(
  pid: number,
  self: SelfCommand,
  signals: readonly NodeJS.Signals[],
): Promise<number> {
  if (ownersOf(self.env) === 'recorded') {
    // the supervisor answers for what the container started, and for nobody else
    throw new BuildError('E_UNSUPPORTED', 'Cannot start a process in a container whose owners are only recorded', {
      hint: 'Have real ids: install uidmap, and add a range for this user to /etc/subuid and /etc/subgid',
    });
  }
  const child = spawn('nsenter', [`--user=/proc/${pid}/ns/user`, self.execPath, ...self.args], {
    env: { ...self.env, [MARKER]: '1' },
    stdio: 'inherit',
    detached: true,
  });
  const stopForwarding = forwardSignals(child, signals);
  try {
    return await exitOf(child).catch((cause: unknown) => {
      const hint = 'Install util-linux, which has the "nsenter" command';
      throw new BuildError('E_NO_USERNS', 'Cannot start "nsenter"', { hint, cause });
    });
  } finally {
    stopForwarding();
  }
}
