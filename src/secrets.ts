import { closeSync, existsSync, readFileSync, statSync } from 'node:fs';
import type { BuildOptions, Environment, SecretSource } from './api.ts';
import { BuildError, systemErrorCode } from './errors.ts';
import { isInsideNamespace } from './executor/index.ts';
import type { Node, RunMount } from './graph/index.ts';

/** By id. They exist in memory only: of the process that was started, and of the one inside the namespace. */
export type Secrets = ReadonlyMap<string, Uint8Array>;

/** BuildKit's limit. */
const MAX_SECRET_BYTES = 500 * 1024;

/** Tells the run inside the namespace from which descriptor it reads the secrets. */
export const SECRETS_FD = 'TSBUILD_SECRETS_FD';

type Wanted = Extract<RunMount, { type: 'secret' | 'ssh' }>;
type Given = Pick<BuildOptions, 'secrets' | 'ssh' | 'env'>;

const wantedBy = (nodes: readonly Node[]): readonly Wanted[] =>
  nodes
    .flatMap(({ op }) => (op.kind === 'run' ? op.mounts : []))
    .filter((mount): mount is Wanted => mount.type === 'secret' || mount.type === 'ssh');

/**
 * Reads what these steps will ask for and nothing else. Throws `E_NO_SECRET`: before any step runs, where a required one
 * is missing.
 */
export function readSecrets(nodes: readonly Node[], given: Given): Secrets {
  const found = new Map<string, Uint8Array>();
  for (const mount of wantedBy(nodes)) {
    try {
      if (mount.type === 'ssh') checkAgent(mount, given);
      else if (!found.has(mount.id)) {
        const content = contentFor(mount, given);
        if (content !== undefined) found.set(mount.id, content);
      }
    } catch (error) {
      throw error instanceof BuildError ? error.at(mount.range) : error;
    }
  }
  return found;
}

function checkAgent({ id, required }: Wanted, { ssh }: Given): void {
  const agent = ssh.findLast((candidate) => candidate.id === id);
  if (!agent && required) {
    throw new BuildError('E_NO_SECRET', `The ssh agent "${id}" is required and was not given`, {
      hint:
        id === 'default' ? 'Give --ssh default, with an agent running' : `Give --ssh ${id}=SOCKET or --ssh ${id}=KEY`,
    });
  }
  const missing = agent?.paths.find((path) => !existsSync(path));
  if (missing !== undefined) {
    throw new BuildError('E_NO_SECRET', `Cannot use "${missing}" for the ssh agent "${id}": it is not there`, {
      hint: "Name an agent's socket or the file of a private key",
    });
  }
}

function contentFor({ id, required }: Wanted, { secrets, env }: Given): Uint8Array | undefined {
  const source = secrets.findLast((candidate) => candidate.id === id);
  const content = source && readSecret(source, env);
  if (content !== undefined || !required) return content;
  throw new BuildError('E_NO_SECRET', `The secret "${id}" is required and was not given`, {
    hint: source
      ? `The variable "${source.env}" is not set`
      : `Give it: --secret id=${id},src=FILE, or --secret id=${id},env=NAME`,
  });
}

/** undefined: it comes from a variable that is not set. Errors name the file, never what is in it. */
function readSecret({ id, env: name, file }: SecretSource, env: Environment): Uint8Array | undefined {
  if (file === undefined && (name !== undefined || env[id] !== undefined)) {
    const value = env[name ?? id];
    return value === undefined ? undefined : limited(id, Buffer.from(value));
  }
  const path = file ?? id;
  try {
    if (statSync(path).size > MAX_SECRET_BYTES) throw tooLarge(id);
    return limited(id, readFileSync(path));
  } catch (cause) {
    if (cause instanceof BuildError) throw cause;
    throw new BuildError('E_NO_SECRET', `Cannot read the secret "${id}" from "${path}": ${systemErrorCode(cause)}`, {
      hint:
        file === undefined ? `Give it: --secret id=${id},src=FILE or env=NAME` : 'Check the path and who may read it',
    });
  }
}

function limited(id: string, content: Uint8Array): Uint8Array {
  if (content.byteLength > MAX_SECRET_BYTES) throw tooLarge(id);
  return content;
}

const tooLarge = (id: string): BuildError =>
  new BuildError('E_NO_SECRET', `The secret "${id}" is larger than ${MAX_SECRET_BYTES} bytes`, {
    hint: 'A secret is a small file; mount a larger one with --mount=type=bind',
  });

/** What goes through the pipe. */
export const encodeSecrets = (secrets: Secrets): Buffer =>
  Buffer.from(JSON.stringify([...secrets].map(([id, content]) => [id, Buffer.from(content).toString('base64')])));

/** What the run outside has sent; empty without it. Ends the descriptor, so that no child gets it. */
export function receiveSecrets(env: Environment): Secrets {
  const fd = Number(env[SECRETS_FD] ?? Number.NaN);
  if (Number.isNaN(fd) || !isInsideNamespace(env)) return new Map();
  try {
    const sent = JSON.parse(readFileSync(fd, 'utf8')) as readonly (readonly [string, string])[]; // what encodeSecrets made
    return new Map(sent.map(([id, content]) => [id, Buffer.from(content, 'base64')]));
  } finally {
    closeSync(fd);
  }
}

/** Variables that a run needs itself, though a secret may be taken from one. */
const OURS =
  /^(PATH|HOME|USER|LANG|TERM|TMPDIR|SSH_AUTH_SOCK|NO_COLOR|XDG_.*|DOCKER_CONFIG|REGISTRY_AUTH_FILE|SOURCE_DATE_EPOCH|TSBUILD_.*)$/;

/** The variables that hold secrets and are not needed inside: they travel by the pipe only. */
export const secretVariables = (secrets: readonly SecretSource[]): readonly string[] =>
  secrets
    .map(({ id, env, file }) => env ?? (file === undefined ? id : ''))
    .filter((name) => name !== '' && !OURS.test(name));
