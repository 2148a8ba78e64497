import { posix } from 'node:path';
import { BuildError } from '../errors.ts';
import type { Healthcheck } from '../oci/index.ts';
import {
  type CmdInstruction,
  type CommandLine,
  type EntrypointInstruction,
  type ExposeInstruction,
  type HealthcheckInstruction,
  type MaintainerInstruction,
  type OnbuildInstruction,
  parsePorts,
  type ShellInstruction,
  type StopsignalInstruction,
  type UserInstruction,
  type VolumeInstruction,
  type WorkdirInstruction,
} from '../parser/index.ts';
import type { PendingDirectory } from './op.ts';
import { DEFAULT_SHELL } from './run.ts';
import { checkSignal } from './signals.ts';
import { type StageState, withConfig, withHistory } from './stage-state.ts';
import { expandIn, expandWordsIn, type StepContext } from './step-context.ts';

/** Instructions that only change the config. Texts of history as BuildKit writes them. */

const quoted = (argv: readonly string[]): string => `[${argv.map((word) => JSON.stringify(word)).join(' ')}]`;

/** An empty shell form clears the command. */
function commandArgv(command: CommandLine, { config }: StageState): readonly string[] {
  if (command.form === 'exec') return command.argv;
  return command.script === '' ? [] : [...(config.Shell ?? DEFAULT_SHELL), command.script];
}

export function lowerCmd({ command }: CmdInstruction, state: StageState): StageState {
  const argv = commandArgv(command, state);
  return withHistory({ ...withConfig(state, { Cmd: argv }), isCmdSet: true }, `CMD ${quoted(argv)}`);
}

/** An inherited CMD was meant for the inherited ENTRYPOINT: it goes. */
export function lowerEntrypoint({ command }: EntrypointInstruction, state: StageState): StageState {
  const argv = commandArgv(command, state);
  const { Cmd, ...config } = state.config;
  const kept = state.isCmdSet && Cmd !== undefined ? { Cmd } : {};
  return withHistory({ ...state, config: { ...config, ...kept, Entrypoint: argv } }, `ENTRYPOINT ${quoted(argv)}`);
}

export function lowerShell({ argv }: ShellInstruction, state: StageState): StageState {
  return withHistory(withConfig(state, { Shell: argv }), `SHELL ${quoted(argv)}`);
}

export function lowerExpose({ ports }: ExposeInstruction, state: StageState, context: StepContext): StageState {
  const names = ports.flatMap((word) =>
    expandWordsIn(word, state, context).flatMap((port) => parsePorts(port, word.range)),
  );
  const exposed = { ...state.config.ExposedPorts, ...Object.fromEntries(names.map((name) => [name, {}])) };
  return withHistory(withConfig(state, { ExposedPorts: exposed }), `EXPOSE [${names.join(' ')}]`);
}

export function lowerVolume({ paths }: VolumeInstruction, state: StageState, context: StepContext): StageState {
  const names = paths.map((word) => {
    const path = expandIn(word, state, context);
    if (path.trim() !== '') return path;
    throw new BuildError('E_EXPANSION', `The volume path "${word.text}" expands to nothing`, {
      hint: 'Write a path, or give the variable a value',
      range: word.range,
    });
  });
  const volumes = { ...state.config.Volumes, ...Object.fromEntries(names.map((name) => [name, {}])) };
  return withHistory(withConfig(state, { Volumes: volumes }), `VOLUME [${names.join(' ')}]`);
}

export function lowerUser({ user }: UserInstruction, state: StageState, context: StepContext): StageState {
  const name = expandIn(user, state, context);
  return withHistory(withConfig(state, { User: name }), `USER ${name}`);
}

/** Costs nothing: the next step makes the directory, or a step at the stage's end. */
export function lowerWorkdir({ path: word }: WorkdirInstruction, state: StageState, context: StepContext): StageState {
  const written = expandIn(word, state, context);
  if (written === '') {
    throw new BuildError('E_EXPANSION', `The directory "${word.text}" expands to nothing`, {
      hint: 'Write a path, or give the variable a value',
      range: word.range,
    });
  }
  const path = posix.resolve('/', state.config.WorkingDir || '/', written);
  const promised: PendingDirectory = { path, user: state.config.User ?? '' };
  const isPromised = path === '/' || state.pending.some((directory) => directory.path === path);
  const pending = isPromised ? state.pending : [...state.pending, promised];
  return withHistory({ ...withConfig(state, { WorkingDir: path }), pending }, `WORKDIR ${path}`);
}

export function lowerStopsignal(
  { signal }: StopsignalInstruction,
  state: StageState,
  context: StepContext,
): StageState {
  const name = checkSignal(expandIn(signal, state, context), signal.range);
  return withHistory(withConfig(state, { StopSignal: name }), `STOPSIGNAL ${name}`);
}

function healthcheckTest(command: CommandLine): readonly string[] {
  return command.form === 'exec' ? ['CMD', ...command.argv] : ['CMD-SHELL', command.script];
}

export function lowerHealthcheck(instruction: HealthcheckInstruction, state: StageState): StageState {
  const { command, intervalNs, timeoutNs, startPeriodNs, startIntervalNs, retries } = instruction;
  const check: Healthcheck = command
    ? {
        Test: healthcheckTest(command),
        ...(intervalNs ? { Interval: intervalNs } : {}),
        ...(timeoutNs ? { Timeout: timeoutNs } : {}),
        ...(startPeriodNs ? { StartPeriod: startPeriodNs } : {}),
        ...(startIntervalNs ? { StartInterval: startIntervalNs } : {}),
        ...(retries ? { Retries: retries } : {}),
      }
    : { Test: ['NONE'] };
  return withHistory(withConfig(state, { Healthcheck: check }), instruction.raw);
}

export function lowerOnbuild({ trigger }: OnbuildInstruction, state: StageState): StageState {
  const triggers = [...(state.config.OnBuild ?? []), trigger];
  return withHistory(withConfig(state, { OnBuild: triggers }), `ONBUILD ${trigger}`);
}

export function lowerMaintainer({ author }: MaintainerInstruction, state: StageState): StageState {
  return withHistory({ ...state, author }, `MAINTAINER ${author}`);
}
