import { spawn } from 'node:child_process';
import { BuildError } from '../errors.ts';
import type { Credential } from './credential.ts';

const MAX_OUTPUT = 1024 * 1024;
const TIMEOUT_MS = 30_000;

interface HelperResult {
  readonly exitCode: number | null;
  readonly stdout: string;
}

const failed = (helper: string, why: string, cause?: unknown): BuildError =>
  new BuildError('E_UNAUTHORIZED', `Cannot ask the credential helper "docker-credential-${helper}": ${why}`, {
    hint: 'Install the helper, or remove it from the credentials file ("credHelpers", "credsStore")',
    cause,
  });

function run(helper: string, action: string, input: string): Promise<HelperResult> {
  // The name becomes a program name: no path may be smuggled in.
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(helper)) throw failed(helper.slice(0, 50), 'not a helper name');
  return new Promise((resolve, reject) => {
    const child = spawn(`docker-credential-${helper}`, [action], {
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: TIMEOUT_MS,
    });
    let stdout = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (text: string) => {
      stdout += text;
      if (stdout.length > MAX_OUTPUT) child.kill('SIGKILL');
    });
    child.once('error', (cause) => reject(failed(helper, 'it cannot be started', cause)));
    child.once('close', (exitCode) => resolve({ exitCode, stdout }));
    // A helper that exits before it has read its input is judged by its exit code.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** Docker's helpers know the Hub by this name. */
const serverOf = (key: string): string => (key === 'docker.io' ? 'https://index.docker.io/v1/' : key);

/** The docker-credential-helpers protocol. undefined: it knows no credentials. Throws `E_UNAUTHORIZED`. */
export async function askHelper(helper: string, key: string): Promise<Credential | undefined> {
  const { exitCode, stdout } = await run(helper, 'get', serverOf(key));
  if (exitCode !== 0) {
    if (/credentials not found/i.test(stdout)) return undefined;
    throw failed(helper, exitCode === null ? 'it was killed (timeout?)' : `it exited with ${exitCode}`);
  }
  let answer: { readonly Username?: unknown; readonly Secret?: unknown } | null;
  try {
    answer = JSON.parse(stdout); // parsed JSON, checked below; a parse error would quote the secret
  } catch {
    throw failed(helper, 'its answer is not JSON');
  }
  const username = answer?.Username;
  const secret = answer?.Secret;
  if (typeof username !== 'string' || typeof secret !== 'string') throw failed(helper, 'its answer is incomplete');
  if (username === '<token>') return { kind: 'identity', username: '', token: secret };
  return { kind: 'password', username, password: secret };
}

export async function storeInHelper(
  helper: string,
  key: string,
  login: { readonly username: string; readonly password: string },
): Promise<void> {
  const input = JSON.stringify({ ServerURL: serverOf(key), Username: login.username, Secret: login.password });
  const { exitCode } = await run(helper, 'store', input);
  if (exitCode !== 0) throw failed(helper, `"store" exited with ${exitCode}`);
}

export async function eraseFromHelper(helper: string, key: string): Promise<void> {
  const { exitCode } = await run(helper, 'erase', serverOf(key));
  if (exitCode !== 0) throw failed(helper, `"erase" exited with ${exitCode}`);
}
