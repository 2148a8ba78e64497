import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { BuildError } from '../../errors.ts';

/** Where an agent's programs are found, and its socket is. */
export interface AgentPlace {
  /** As $PATH. */
  readonly path: string | undefined;
  /** A fresh directory of this process. */
  readonly createActive: () => Promise<string>;
  readonly remove: (paths: readonly string[]) => Promise<void>;
}

/** An agent that holds keys for this build. */
export interface OwnAgent {
  readonly socket: string;
  stop(): Promise<void>;
}

/**
 * ssh-agent ends by itself soon after the command that it runs, and that ends with our end of its standard input: nothing is left of
 * a build that is killed. No terminal and no askpass: a key with a passphrase is refused, not asked for.
 */
const COMMAND = 'ssh-add "$@" </dev/null >&2 || exit 1; echo "$SSH_AGENT_PID"; exec cat >/dev/null';

export async function startAgent(
  id: string,
  keys: readonly string[],
  { path, createActive, remove }: AgentPlace,
): Promise<OwnAgent> {
  const directory = await createActive();
  // a socket's address ends at 107 bytes (unix(7)); the state directory's path may not
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  const socket = `/proc/${process.pid}/fd/${fd}/agent`;
  const env = { ...(path === undefined ? {} : { PATH: path }), SSH_ASKPASS_REQUIRE: 'never' };
  const child = spawn('ssh-agent', ['-a', socket, 'sh', '-c', COMMAND, 'sh', ...keys], { env, stdio: 'pipe' });
  const release = async (): Promise<void> => {
    closeSync(fd);
    await remove([directory]);
  };
  try {
    const pid = await ready(child, id);
    return {
      socket,
      stop: async () => {
        child.stdin?.destroy();
        endQuietly(pid);
        await release();
      },
    };
  } catch (error) {
    child.stdin?.destroy();
    await release();
    throw error;
  }
}

/** The process id of the agent, once it has the keys. */
function ready(child: ChildProcess, id: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let complaint = '';
    child.stdin?.on('error', () => {});
    child.stderr?.on('data', (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    child.stdout?.once('data', (chunk: Buffer) => resolve(Number(chunk.toString())));
    child.once('error', (cause) => {
      const hint = 'Install openssh-client, or start an agent yourself and give --ssh default';
      reject(new BuildError('E_NO_SECRET', `Cannot start ssh-agent for "${id}"`, { hint, cause }));
    });
    child.once('close', () => {
      const hint = 'A key with a passphrase needs an agent: ssh-add it there and give --ssh default';
      const last = complaint.trim().split('\n').at(-1) ?? '';
      const reason = last.startsWith('Enter passphrase') ? 'a key has a passphrase' : last;
      reject(new BuildError('E_NO_SECRET', `Cannot give the keys of "${id}" to an agent: ${reason}`, { hint }));
    });
  });
}

function endQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It has ended by itself, which is what we want.
  }
}
