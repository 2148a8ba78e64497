import { systemErrorCode } from '../../errors.ts';
import { capabilityBits } from './capabilities.ts';
import { permittedCapabilities, setCapabilities } from './process-calls.ts';
import { lookupProgram, type Program } from './program.ts';
import type { ProcessSpec } from './sandbox.ts';
import { actAs, becomeRoot, chdir } from './syscalls.ts';

/**
 * Finds the program of a step in the root of the calling thread, from the step's directory and with the step's rights: what the
 * image names may be a link into PID 1, which is of the host. The thread has its own rights again afterwards.
 */
export function findProgram(spec: ProcessSpec, last: number): Program {
  return withRightsOf(spec, last, () => {
    try {
      chdir(spec.cwd);
    } catch (error) {
      return { reason: `cannot enter the working directory "${spec.cwd}": ${systemErrorCode(error)}` };
    }
    return lookupProgram(spec.argv[0] ?? '', spec.env);
  });
}

function withRightsOf<T>(spec: ProcessSpec, last: number, work: () => T): T {
  const permitted = permittedCapabilities();
  actAs(spec);
  try {
    const kept = spec.uid === 0 ? capabilityBits(last, spec.settings?.capabilities) : 0n;
    setCapabilities({ effective: kept & permitted, permitted });
    return work();
  } finally {
    becomeRoot();
    setCapabilities({ effective: permitted, permitted });
  }
}
