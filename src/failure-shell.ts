import type { BuildOptions } from './api.ts';
import { Attached } from './containers/index.ts';
import { BuildError } from './errors.ts';
import type { InspectFailure } from './executor/index.ts';

/**
 * `--on-failure=shell`: the first step that fails gets a shell in its root, with its environment, mounts and user, on a terminal
 * of its own (so that nothing in it can type into the user's). Steps that run beside it go on. What is done in it is thrown
 * away with the step. Throws `E_USAGE` where there is nobody to type, `E_UNSUPPORTED` for `--isolation oci`.
 */
export function failureShell(options: BuildOptions): InspectFailure | undefined {
  const { onFailure = 'stop', user, isolation, emit, signal } = options;
  if (onFailure === 'stop') return undefined;
  if (isolation === 'oci') {
    throw new BuildError('E_UNSUPPORTED', 'Cannot open a shell in a failed step of --isolation oci', {
      hint: 'Leave --isolation out',
    });
  }
  if (user?.terminal === undefined) {
    throw new BuildError('E_USAGE', 'Cannot open a shell in a failed step: standard input is no terminal', {
      hint: 'Run the command at a terminal, or leave --on-failure=shell out',
    });
  }
  let isUsed = false;
  return async (step, start) => {
    if (isUsed) return;
    isUsed = true;
    using attached = new Attached(user, { hasInput: true, hasTerminal: true }, signal);
    emit({ type: 'step.shell', step, state: 'opened' });
    try {
      const { terminalSize: terminal } = attached;
      const interaction = { hasInput: true, terminal, onStarted: attached.started.bind(attached) };
      await start({ onOutput: user.onOutput, interaction }, attached.signal);
    } finally {
      emit({ type: 'step.shell', step, state: 'closed' });
    }
  };
}
