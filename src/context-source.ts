import { createReadStream, createWriteStream, existsSync, mkdirSync } from 'node:fs';
import { chmod, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { BuildOptions, Environment } from './api.ts';
import type { Workspace } from './assembly.ts';
import { unpackContext } from './context-archive.ts';
import { BuildError } from './errors.ts';
import { type BuildInput, contextRoot, openContext, readContainerfiles, type SourceRoot } from './executor/index.ts';
import { fileName, parseGitUrl, withoutCredentials } from './graph/index.ts';
import { remoteSource } from './parser/index.ts';
import { type PipedFiles, readPipes } from './piped-files.ts';
import type { Remote } from './remote-roots.ts';

/** Where the run outside the namespace has put what it read from standard input. */
const CONTEXT = 'TSBUILD_CONTEXT';

/** The build context and the Containerfiles of one build, wherever they come from. */
export interface ContextSource extends AsyncDisposable {
  /** On this machine. */
  readonly directory: string;
  readonly isLocal: boolean;
  readonly input: BuildInput;
  /** The context as COPY reads it. Ignore files count in a local one only (containerfile-reference 1.10). */
  root(): SourceRoot;
  /** Variables for the run inside the namespace: it must not read standard input again. */
  handOver(): Environment;
}

export interface ContextRooms {
  readonly workspace: Workspace;
  readonly remote: Remote;
}

/** What was found behind the argument of `build`. */
interface Opened {
  readonly directory: string;
  /** Absent: a directory of the user's. */
  readonly description?: string;
  /** The whole context is this one Containerfile. */
  readonly containerfile?: { readonly path: string; readonly name: string };
  readonly handOver?: Environment;
}

/**
 * Opens `options.context`: a directory; `-`, a Containerfile or a tar archive on standard input; an http(s) URL of
 * either; or a git repository. Whatever is unpacked for this build only goes when the answer is disposed. Throws
 * `E_CONTEXT`, `E_NO_CONTAINERFILE`, `E_BAD_ARCHIVE`, `E_USAGE`, and what `RemoteSources` throws.
 */
export async function openContextSource(options: BuildOptions, rooms: ContextRooms): Promise<ContextSource> {
  const scratch = new Scratch(rooms.workspace.store.temporaryPath());
  try {
    const opened = await open(options, { ...rooms, scratch });
    const isLocal = opened.description === undefined;
    const pipes = readPipes(isLocal ? options.files : [], options.env, () => scratch.directory('pipes'));
    const input = await readInput(opened, options, { remote: rooms.remote, pipes });
    let root: SourceRoot | undefined;
    return {
      directory: opened.directory,
      isLocal,
      input,
      root: () => {
        root ??= rootOf(opened, input, options);
        return root;
      },
      handOver: () => ({ ...opened.handOver, ...pipes.handOver }),
      [Symbol.asyncDispose]: () => scratch.remove(),
    };
  } catch (error) {
    await scratch.remove();
    throw error;
  }
}

interface Parts extends ContextRooms {
  readonly scratch: Scratch;
}

/** A directory for this build; made at the first use. */
class Scratch {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** A new, empty directory in it. */
  directory(name: string): string {
    const path = join(this.#path, name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  }

  async remove(): Promise<void> {
    if (existsSync(this.#path)) await removeTree(this.#path);
  }
}

/** An archive may have directories that even their owner cannot write to. */
async function removeTree(directory: string): Promise<void> {
  await chmod(directory, 0o700);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeTree(join(directory, entry.name));
  }
  await rm(directory, { recursive: true, force: true });
}

async function open(options: BuildOptions, parts: Parts): Promise<Opened> {
  const { context } = options;
  if (context === '-') return openStdin(options, parts);
  const kind = remoteSource(context) ?? (isGithub(context) ? 'a git repository' : undefined);
  switch (kind) {
    case undefined:
      return { directory: openContext(context) };
    case 'a URL':
      return openUrl(context, options, parts);
    case 'a git repository':
      return openRepository(context, options, parts);
    default:
      throw kind satisfies never;
  }
}

/** The short form that docker takes, where it is no directory. */
export const isGithub = (context: string): boolean =>
  /^github\.com\/[^/]+\/[^/]+/.test(context) && !existsSync(context);

async function openRepository(context: string, { buildArgs }: BuildOptions, { remote }: Parts): Promise<Opened> {
  const { keepGitDir, submodules = true, ...url } = parseGitUrl(isGithub(context) ? `https://${context}` : context);
  // BuildKit: https://docs.docker.com/build/building/variables, "BUILDKIT_CONTEXT_KEEP_GIT_DIR"
  const keep = keepGitDir ?? /^(?:1|true)$/i.test(buildArgs.BUILDKIT_CONTEXT_KEEP_GIT_DIR ?? '');
  const directory = await remote.sources.tree({ ...url, keepGitDir: keep, submodules });
  return { directory, description: describe(context) };
}

async function openUrl(context: string, options: BuildOptions, parts: Parts): Promise<Opened> {
  const { remote, scratch } = parts;
  const { directory, file } = await fetch(context, remote);
  const name = withoutCredentials(context);
  const unpacked = await remote.unpacked(directory, file, name);
  if (unpacked !== undefined) return { directory: unpacked, description: describe(context) };
  refuseFiles(options, `"${name}"`);
  const containerfile = { path: join(directory, file), name };
  return { directory: scratch.directory('root'), description: describe(context), containerfile };
}

async function fetch(url: string, { sources }: Remote): Promise<{ directory: string; file: string }> {
  if (!URL.canParse(url)) {
    throw new BuildError('E_USAGE', `Cannot read the URL "${withoutCredentials(url)}"`, {
      hint: 'Write https://HOST/PATH',
    });
  }
  const file = fileName(new URL(url)) ?? 'context';
  return { directory: await sources.file({ url, name: file }), file };
}

const describe = (context: string): string => `the context "${withoutCredentials(context)}"`;

/** Standard input can be read once: what came of it is handed to the run inside the namespace. */
async function openStdin(options: BuildOptions, { workspace, scratch }: Parts): Promise<Opened> {
  const handed = options.env[CONTEXT];
  const directory = handed ?? scratch.directory('stdin');
  const root = join(directory, 'root');
  const text = join(directory, 'Containerfile');
  if (handed === undefined) {
    mkdirSync(root);
    await pipeline(options.contextStdin ?? [], createWriteStream(text, { mode: 0o600 }), { signal: options.signal });
    const { workers } = workspace;
    const archive = { open: () => createReadStream(text), name: 'standard input' };
    if (await unpackContext(archive, root, { workers, emit: options.emit })) await rm(text);
  }
  const opened = { directory: root, description: 'the context on standard input', handOver: { [CONTEXT]: directory } };
  if (!existsSync(text)) return opened;
  refuseFiles(options, 'standard input');
  return { ...opened, containerfile: { path: text, name: '<stdin>' } };
}

function refuseFiles({ files }: BuildOptions, what: string): void {
  const [file] = files;
  if (file === undefined) return;
  throw new BuildError('E_USAGE', `Cannot read "${file}": the context, ${what}, is a Containerfile and no archive`, {
    hint: 'Leave -f out, or give a tar archive as the context',
  });
}

/** Containerfiles of a context from elsewhere are looked for in it only: the names are its own. */
async function readInput(
  opened: Opened,
  options: BuildOptions,
  { remote, pipes }: { readonly remote: Remote; readonly pipes: PipedFiles },
): Promise<BuildInput> {
  const { containerfile, directory } = opened;
  const fetched = new Map(pipes.paths);
  for (const file of options.files) {
    if (remoteSource(file) !== 'a URL') continue;
    const found = await fetch(file, remote);
    fetched.set(file, join(found.directory, found.file));
  }
  if (containerfile) fetched.set(containerfile.name, containerfile.path);
  const files = containerfile ? [containerfile.name] : options.files;
  const within = rootElsewhere(opened);
  return readContainerfiles(directory, files, { stdin: options.stdin, fetched, ...(within ? { within } : {}) });
}

const rootElsewhere = ({ directory, description }: Opened): SourceRoot | undefined =>
  description === undefined ? undefined : { directory, description, keepsOwners: false };

/** An ignore file that the user names counts everywhere. */
function rootOf(opened: Opened, input: BuildInput, { ignoreFile }: BuildOptions): SourceRoot {
  const elsewhere = rootElsewhere(opened);
  if (elsewhere === undefined) return contextRoot(opened.directory, { input, ignoreFile });
  if (ignoreFile === undefined) return elsewhere;
  return { ...contextRoot(opened.directory, { input, ignoreFile, within: elsewhere }), ...elsewhere };
}
