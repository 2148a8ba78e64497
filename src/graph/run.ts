import { BuildError } from '../errors.ts';
import { type CommandLine, type RunInstruction, securityRefusal } from '../parser/index.ts';
import { lowerMounts } from './mount.ts';
import { Roots } from './mount-roots.ts';
import type { RunOp } from './op.ts';
import { proxyEnv, visibleArgs } from './scope.ts';
import type { StageState } from './stage-state.ts';
import { withHistory, withStep } from './stage-state.ts';
import { addStep, expandIn, type StepContext } from './step-context.ts';

export const DEFAULT_SHELL: readonly string[] = ['/bin/sh', '-c'];

/** The command is nothing but one heredoc word. */
const ONLY_HEREDOC = /^\s*\d*<<-?[ \t]*(?:"[^"]*"|'[^']*'|\\.|[^\s<"'\\|&;()>])+\s*$/;

/** Where BuildKit shows a heredoc script with `#!` to the process. */
const SCRIPT_DIRECTORY = '/dev/pipes';

type Command = Pick<RunOp, 'argv' | 'files'>;

function shellScript({ script, heredocs }: Extract<CommandLine, { form: 'shell' }>, shell: readonly string[]): Command {
  const [only] = heredocs;
  if (only && heredocs.length === 1 && ONLY_HEREDOC.test(script)) {
    if (!only.body.startsWith('#!')) return { argv: [...shell, only.body], files: [] };
    const path = `${SCRIPT_DIRECTORY}/${only.name.replace(/\/|^\.\.?$/g, '_')}`;
    return { argv: [path], files: [{ path, content: only.body }] };
  }
  // The shell reads the heredocs itself: give it the line, the bodies and their ends.
  const bodies = heredocs.map(({ body, name }) => `\n${body}${name}`);
  return { argv: [...shell, `${script}${bodies.join('')}`], files: [] };
}

/** What runs for a command line (BuildKit's dispatchRun, rules for heredocs included). */
function commandOf(command: CommandLine, shell: readonly string[]): Command {
  return command.form === 'exec' ? { argv: command.argv, files: [] } : shellScript(command, shell);
}

function networkOf({ network }: RunInstruction, state: StageState, context: StepContext): RunOp['network'] {
  if (!network) return context.options.network;
  const name = expandIn(network, state, context);
  if (name === 'default') return context.options.network;
  if (name === 'none' || name === 'host') return name;
  throw new BuildError('E_UNSUPPORTED', `Unknown network "${name}" for RUN`, {
    hint: 'Write --network=default, --network=none or --network=host',
    range: network.range,
  });
}

function historyText(argv: readonly string[], { scope }: StageState): string {
  const args = visibleArgs(scope).map(([name, value]) => `${name}=${value}`);
  return ['RUN', ...(args.length === 0 ? [] : [`|${args.length}`, ...args]), ...argv].join(' ');
}

function checkSecurity({ security }: RunInstruction, state: StageState, context: StepContext): void {
  if (!security) return;
  const value = expandIn(security, state, context);
  if (value !== 'sandbox' && value !== '') throw securityRefusal(value, security.range);
}

export function lowerRun(instruction: RunInstruction, state: StageState, context: StepContext): StageState {
  checkSecurity(instruction, state, context);
  const roots = new Roots(state, context);
  const command = commandOf(instruction.command, state.config.Shell ?? DEFAULT_SHELL);
  const op: RunOp = {
    kind: 'run',
    ...command,
    env: [...state.scope.env, ...visibleArgs(state.scope)],
    proxyEnv: proxyEnv(state.scope, context.options.buildArgs),
    cwd: state.config.WorkingDir || '/',
    user: state.config.User ?? '',
    network: networkOf(instruction, state, context),
    mounts: lowerMounts(instruction.mounts, { state, context, roots }),
    pending: state.pending,
  };
  const node = addStep(op, { instruction, inputs: roots.inputs, platform: state.platform }, context);
  return withHistory(withStep(state, node), historyText(command.argv, state), node);
}
