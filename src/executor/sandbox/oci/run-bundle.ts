import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { BuildError } from '../../../errors.ts';
import type { StepStreams } from '../process-start.ts';
import type { Bundle } from '../rootfs.ts';
import type { ExitStatus } from '../sandbox.ts';

/** The runtime finds its helpers here; a step's own variables stand in config.json. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Runs a bundle with its runtime, in the namespaces of the calling thread. A status above 128 may be that of the step or its
 * signal: runtimes do not tell. Throws `E_SANDBOX` where the runtime could not start the step.
 */
export async function runBundle({ stdin, stdout, stderr }: StepStreams, bundle: Bundle): Promise<ExitStatus> {
  const { directory, id } = bundle;
  const [program = '', ...options] = bundle.command;
  const log = `${directory}/log`;
  const args = [...options, '--root', `${directory}/state`, '--log', log, '--log-format', 'json'];
  const child = spawn(program, [...args, 'run', '--bundle', directory, id], {
    cwd: '/',
    env: { PATH },
    detached: true,
    stdio: [stdin ?? 'ignore', stdout, stderr],
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', (cause) => reject(new BuildError('E_SANDBOX', `Cannot start "${program}"`, { cause })));
    child.once('exit', (status) => resolve(status ?? 1));
  });
  const complaint = code === 0 ? undefined : lastComplaint(log);
  if (complaint === undefined) return { kind: 'exited', code };
  if (MISSING.test(complaint)) return { kind: 'not-started', reason: complaint };
  throw new BuildError('E_SANDBOX', `The OCI runtime "${program}" could not start the step: ${complaint}`, {
    hint: 'Choose another one with --runtime, or use --isolation builtin',
  });
}

/** What runc, crun and youki say of a program that is not there or cannot be executed. */
const MISSING =
  /executable file .*not found|no such file or directory.*exec|exec.*(no such file|permission denied|exec format)/i;

/** The last error that the runtime wrote; a step that only failed leaves none. */
function lastComplaint(log: string): string | undefined {
  if (!existsSync(log)) return undefined;
  const lines = readFileSync(log, 'utf8').split('\n').filter(Boolean);
  const errors = lines.map(parseLine).filter(({ level, msg }) => level === 'error' && typeof msg === 'string');
  return errors.map(({ msg }) => String(msg)).at(-1);
}

function parseLine(line: string): { readonly level?: unknown; readonly msg?: unknown } {
  try {
    return JSON.parse(line);
  } catch {
    return { level: 'error', msg: line }; // a runtime that does not know --log-format
  }
}
