import { closeSync, readFileSync, statSync } from 'node:fs';
import type { Environment, SecretSource } from './api.ts';
import { BuildError, systemErrorCode } from './errors.ts';
import type { Node, RunMount } from './graph/index.ts';

/** By id. They exist in memory only: of the process that was started, and of the one inside the namespace. */
export type Secrets = ReadonlyMap<string, Uint8Array>;

/** BuildKit's limit. */
const MAX_SECRET_BYTES = 500 * 1024;

/** Tells the run inside the namespace from which descriptor it reads the secrets. */
export const SECRETS_FD = 'TSBUILD_SECRETS_FD';

type Wanted = Extract<RunMount, { type: 'secret' | 'ssh' }>;

const wantedBy = (nodes: readonly Node[]): readonly Wanted[] =>
  nodes
    .flatMap(({ op }) => (op.kind === 'run' ? op.mounts : []))
    .filter((mount): mount is Wanted => mount.type === 'secret' || mount.type === 'ssh');

/**
 * Reads what these steps will ask for and nothing else. Throws `E_NO_SECRET`: before any step runs, where a required one
 * is missing.
 */
export function readSecrets(
  nodes: readonly Node[],
  {
    secrets,
    ssh,
    env,
  }: {
    readonly secrets: readonly SecretSource[];
    readonly ssh: readonly { readonly id: string }[];
    readonly env: Environment;
  },
): Secrets {
  const found = new Map<string, Uint8Array>();
  for (const { type, id, required, range } of wantedBy(nodes)) {
    if (type === 'ssh') {
      if (required && !ssh.some((agent) => agent.id === id)) throw missingAgent(id, range);
      continue;
    }
    const source = secrets.findLast((candidate) => candidate.id === id);
    const content = found.get(id) ?? (source && readSecret(source, env));
    if (content !== undefined) found.set(id, content);
    else if (required) throw missingSecret({ id, range, source });
  }
  return found;
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

interface Missing {
  readonly id: string;
  readonly range: RunMount['range'];
  readonly source: SecretSource | undefined;
}

function missingSecret({ id, range, source }: Missing): BuildError {
  return new BuildError('E_NO_SECRET', `The secret "${id}" is required and was not given`, {
    hint: source
      ? `The variable "${source.env}" is not set`
      : `Give it: --secret id=${id},src=FILE, or --secret id=${id},env=NAME`,
    range,
  });
}

function missingAgent(id: string, range: RunMount['range']): BuildError {
  return new BuildError('E_NO_SECRET', `The ssh agent "${id}" is required and was not given`, {
    hint: id === 'default' ? 'Give --ssh default, with an agent running' : `Give --ssh ${id}=SOCKET or --ssh ${id}=KEY`,
    range,
  });
}

/** What goes through the pipe. */
export const encodeSecrets = (secrets: Secrets): Buffer =>
  Buffer.from(JSON.stringify([...secrets].map(([id, content]) => [id, Buffer.from(content).toString('base64')])));

/** What the run outside has sent; empty without it. Ends the descriptor, so that no child gets it. */
export function receiveSecrets(env: Environment): Secrets {
  const fd = Number(env[SECRETS_FD] ?? Number.NaN);
  if (Number.isNaN(fd)) return new Map();
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
