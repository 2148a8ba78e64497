import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { isGithub } from './context-source.ts';
import { BuildError, systemErrorCode } from './errors.ts';
import { contextKey, type NamedContext, type NamedContexts, parseGitUrl } from './graph/index.ts';
import { parseImageName } from './oci/index.ts';
import { remoteSource } from './parser/index.ts';

/** `--build-context` as the graph and as the steps see it. */
export interface ParsedContexts {
  readonly named: NamedContexts;
  /** Absolute, by the context's name. */
  readonly directories: ReadonlyMap<string, string>;
}

const IMAGE = /^(?:docker-image|container-image|docker):\/\//;
const LAYOUT = /^oci-layout:\/\//;
const TRANSPORT = /^(?:oci|oci-archive|docker-archive|dir|containers-storage|docker-daemon):/;

/**
 * What each `NAME=SOURCE` stands for: an image (`docker-image://REF`, `oci-layout://DIR[:TAG][@DIGEST]`, or a transport that
 * FROM knows), a URL, a git repository, or a directory, relative to the working directory. Throws `E_USAGE`, `E_CONTEXT`.
 */
export function parseContexts(sources: Readonly<Record<string, string>>): ParsedContexts {
  const named = new Map<string, NamedContext>();
  const directories = new Map<string, string>();
  const keys = new Map<string, string>();
  for (const [name, source] of Object.entries(sources)) {
    const key = contextKey(name);
    const other = keys.get(key);
    if (other !== undefined) {
      throw new BuildError('E_USAGE', `The build contexts "${other}" and "${name}" have one name`, {
        hint: 'Give each name once: case, docker.io/library/ and :latest make no difference',
      });
    }
    keys.set(key, name);
    const context = parseSource(name, source);
    named.set(name, context);
    if (context.type === 'directory') directories.set(name, openDirectory(name, source));
  }
  return { named, directories };
}

function parseSource(name: string, source: string): NamedContext {
  if (source.startsWith('target:')) {
    throw new BuildError(
      'E_USAGE',
      `Cannot use "${source}" as the build context "${name}": targets belong to bake files`,
      {
        hint: 'A stage of the same Containerfile needs no context: name it with FROM or --from',
      },
    );
  }
  if (IMAGE.test(source)) return imageContext(name, source.replace(IMAGE, ''));
  if (LAYOUT.test(source)) return imageContext(name, source.replace(LAYOUT, 'oci:'));
  if (TRANSPORT.test(source)) return imageContext(name, source);
  if (isGithub(source)) return gitContext(`https://${source}`);
  switch (remoteSource(source)) {
    case undefined:
      return { type: 'directory' };
    case 'a git repository':
      return gitContext(source);
    case 'a URL':
      return urlContext(name, source);
  }
}

function gitContext(source: string): NamedContext {
  const { keepGitDir = false, submodules = true, ...url } = parseGitUrl(source);
  return { type: 'remote', op: { kind: 'git', ...url, keepGitDir, submodules } };
}

/** An archive is unpacked; anything else is one file, which BuildKit calls `context`. */
function urlContext(name: string, source: string): NamedContext {
  if (URL.canParse(source)) {
    return { type: 'remote', op: { kind: 'http', url: new URL(source).href, name: 'context', unpack: true } };
  }
  throw new BuildError('E_USAGE', `The build context "${name}" has a URL that cannot be read`, {
    hint: `Write --build-context ${name}=https://HOST/PATH`,
  });
}

function imageContext(name: string, image: string): NamedContext {
  if (image !== '') {
    parseImageName(image);
    return { type: 'image', name: image };
  }
  throw new BuildError('E_USAGE', `The build context "${name}" names no image`, {
    hint: `Write --build-context ${name}=docker-image://IMAGE`,
  });
}

function openDirectory(name: string, source: string): string {
  const directory = resolve(source);
  const fail = (why: string, cause?: unknown): BuildError =>
    new BuildError('E_CONTEXT', `Cannot use "${source}" as the build context "${name}": ${why}`, {
      hint: 'Name a directory, docker-image://IMAGE, oci-layout://DIR, or a URL',
      cause,
    });
  let isDirectory: boolean;
  try {
    isDirectory = statSync(directory).isDirectory();
  } catch (cause) {
    const code = systemErrorCode(cause);
    throw fail(code === 'ENOENT' ? 'no such directory' : (code ?? 'error'), cause);
  }
  if (!isDirectory) throw fail('not a directory');
  return directory;
}
