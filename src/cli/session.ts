import { BuildError, type SelfCommand, type SessionOptions } from '../index.ts';
import { exitCodeOf, toBuildError } from './failure.ts';
import { type Host, isRepeatedRun, type Operations, REPEATED_VARIABLE } from './host.ts';
import { createRenderer, type ProgressMode } from './render/create.ts';
import type { Renderer } from './render/renderer.ts';

/** What each command gets beside its own options. */
export interface CommandContext {
  readonly host: Host;
  readonly operations: Operations;
}

export interface GlobalOptions {
  readonly root?: string;
  readonly debug?: boolean;
}

export interface SessionSettings extends GlobalOptions {
  readonly progress: ProgressMode;
  readonly explainsCache?: boolean;
  /** For commands that do one thing, shown by a spinner on a terminal: `Pulling busybox`. */
  readonly activity?: string;
}

export interface Session {
  readonly options: SessionOptions;
  readonly renderer: Renderer;
}

/** Runs `work` with a renderer; an error is rendered once, here. Returns the exit code. */
export async function inSession(
  { host }: CommandContext,
  settings: SessionSettings,
  work: (session: Session) => Promise<number>,
): Promise<number> {
  const renderer = await createRenderer(host, settings);
  try {
    return await work({
      options: { root: settings.root, emit: renderer.emit, signal: host.signal, env: host.env },
      renderer,
    });
  } catch (error) {
    const failure = toBuildError(error, host.signal);
    renderer.failed(failure);
    return exitCodeOf(failure, host.signal);
  } finally {
    renderer.close();
  }
}

/** How to run this same command again inside the namespace. */
export function selfCommand(host: Host): SelfCommand {
  return {
    execPath: host.execPath,
    args: [...host.selfArgs, ...host.args],
    env: { ...host.env, [REPEATED_VARIABLE]: '1' },
  };
}

/** Asks on a terminal; elsewhere the answer must have been an option. The run inside the namespace does not ask again. */
export async function confirm(host: Host, question: string): Promise<void> {
  if (isRepeatedRun(host)) return;
  if (host.stdin.isTTY !== true)
    throw new BuildError('E_USAGE', `${question}: nobody is here to answer`, { hint: 'add --force' });
  const answer = await host.ask(`${question}? [y/N] `, { isSecret: false });
  if (!/^y(es)?$/i.test(answer.trim())) throw new BuildError('E_CANCELLED', 'Cancelled');
}
