import { stateDirectory } from '../assembly.ts';
import { BuildError } from '../errors.ts';
import {
  isInsideNamespace,
  joinNamespace,
  readContainerFile,
  resolveUserFrom,
  runInContainer,
} from '../executor/index.ts';
import { containersOf } from './container-store.ts';
import { codeOf } from './monitor.ts';
import type { ExecOptions, ProgramResult } from './options.ts';
import { definedOnly } from './program.ts';
import { type ContainerRecord, livenessOf, statusOf } from './record.ts';
import { Attached, FORWARDED_SIGNALS } from './streams.ts';

/** Runs another program in a container that runs: in its namespaces, with its environment. Throws `E_NO_CONTAINER`, `E_CONTAINER`. */
export async function execInContainer(name: string, options: ExecOptions): Promise<ProgramResult> {
  const root = stateDirectory(options);
  const record = await containersOf(root).find(name);
  const init = initOf(record);
  if (isInsideNamespace(options.self.env)) return { kind: 'ended', exitCode: await execInside(record, init, options) };
  if (options.hasInput && options.hasTerminal && options.streams.terminal === undefined) {
    throw new BuildError('E_USAGE', 'Cannot connect the program with a terminal: standard input is none', {
      hint: 'Leave -t out',
    });
  }
  const self = { ...options.self, env: { ...options.self.env, TSBUILD_ROOT: root } };
  const release = options.streams.onSignal(() => {}); // they are forwarded
  try {
    const exitCode = await joinNamespace(record.monitor.pid, self, [...FORWARDED_SIGNALS, 'SIGWINCH']);
    return { kind: 'delegated', exitCode };
  } finally {
    release();
  }
}

function initOf(record: ContainerRecord): number {
  const status = statusOf(record);
  if (record.state.kind === 'running' && status === 'running' && livenessOf(record.state.init) === 'alive') {
    return record.state.init.pid;
  }
  throw new BuildError('E_CONTAINER', `Cannot run anything in "${record.name}": it does not run (${status})`, {
    hint: 'tsbuild ps lists what runs',
  });
}

async function execInside(record: ContainerRecord, init: number, options: ExecOptions): Promise<number> {
  using attached = new Attached(options.streams, options, options.signal);
  const read = async (file: string, limit: number) => readContainerFile(init, file, limit);
  const { home, ...user } = await resolveUserFrom(read, options.user ?? record.user);
  const isOther = options.user !== undefined && options.user !== record.user;
  const env = {
    ...record.env,
    ...(isOther ? { HOME: home } : {}),
    ...(options.hasTerminal ? { TERM: 'xterm' } : {}),
    ...options.variables,
  };
  const program = { argv: options.command, env: definedOnly(env), cwd: options.cwd ?? record.cwd, ...user };
  const io = {
    onOutput: options.streams.onOutput,
    interaction: {
      hasInput: options.hasInput,
      terminal: attached.terminalSize,
      onStarted: attached.started.bind(attached),
    },
  };
  return codeOf(await runInContainer(init, program, { io, signal: attached.signal }), program);
}
