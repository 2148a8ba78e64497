import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, join, posix, resolve } from 'node:path';
import { BuildError, type SourceFile, systemErrorCode } from '../errors.ts';
import { decodeContainerfile, parseIgnoreFile } from '../parser/index.ts';
import { hostPath, resolveSource, type SourceRoot } from './source-root.ts';

export interface BuildInput {
  /** In the order in which they are read as one. */
  readonly containerfiles: readonly SourceFile[];
  /** Absolute; those from standard input have none. */
  readonly paths: readonly string[];
  /** Seconds, of the newest; 0 for standard input. */
  readonly mtime: number;
}

/** BuildKit's limit for a Dockerfile. */
const MAX_TEXT_BYTES = 16 * 1024 * 1024;
/** BuildKit takes the lower-case name, too. */
const DEFAULT_NAMES = ['Containerfile', 'Dockerfile', 'dockerfile'] as const;

/** A small file. undefined: not there. Throws `code`. */
function readSmall(
  path: string,
  code: 'E_NO_CONTAINERFILE' | 'E_CONTEXT',
  mayBePipe = true,
): { bytes: Buffer; mtime: number } | undefined {
  try {
    const stat = statSync(path);
    // a pipe is the user's own: one in a context from elsewhere has no writer
    if (!stat.isFile() && !(mayBePipe && stat.isFIFO())) {
      throw new BuildError(code, `Cannot read "${path}": not a file`, {
        hint: 'Name the Containerfile with -f, and the context directory as the last argument',
      });
    }
    if (stat.size > MAX_TEXT_BYTES) {
      throw new BuildError(code, `Cannot read "${path}": larger than ${MAX_TEXT_BYTES} bytes`, {
        hint: 'Check that it is the file that you mean',
      });
    }
    return { bytes: readFileSync(path), mtime: Math.floor(stat.mtimeMs / 1000) };
  } catch (error) {
    if (error instanceof BuildError) throw error;
    const reason = systemErrorCode(error);
    if (reason === 'ENOENT' || reason === 'ENOTDIR') return undefined;
    throw new BuildError(code, `Cannot read "${path}": ${reason ?? 'error'}`, {
      hint: 'Check the permissions of the file and of its directories',
      cause: error,
    });
  }
}

/** Checks that the context is a directory. Throws `E_CONTEXT`. */
export function openContext(context: string): string {
  const directory = resolve(context);
  try {
    if (statSync(directory).isDirectory()) return directory;
  } catch (cause) {
    throw new BuildError('E_CONTEXT', `Cannot use the context "${context}": ${systemErrorCode(cause) ?? 'error'}`, {
      hint: 'The last argument is the context directory, usually "."',
      cause,
    });
  }
  throw new BuildError('E_CONTEXT', `Cannot use the context "${context}": not a directory`, {
    hint: 'The last argument is the context: a directory, usually ".", a URL, a git repository, or "-"',
  });
}

interface FoundFile {
  readonly source: SourceFile;
  readonly path?: string;
  readonly mtime: number;
}

/**
 * The Containerfiles: each of `files` relative to the working directory, else to the context; without any, Containerfile,
 * then Dockerfile or dockerfile, in the context. Throws `E_NO_CONTAINERFILE`, and `E_PARSE` for text that is not UTF-8.
 */
export function readContainerfiles(
  context: string,
  files: readonly string[],
  { stdin, fetched, within }: ContainerfilePlaces = {},
): BuildInput {
  const read = (file: string): FoundFile => {
    const path = fetched?.get(file);
    if (path !== undefined) return readFetched(path, file);
    return file === '-' ? fromStdin(stdin) : findNamed(context, file, within);
  };
  const found = files.length === 0 ? [findDefault(context, within)] : files.map(read);
  return {
    containerfiles: found.map(({ source }) => source),
    paths: found.flatMap(({ path }) => path ?? []),
    mtime: Math.max(...found.map(({ mtime }) => mtime)),
  };
}

/** Where Containerfiles come from beside the file system. */
export interface ContainerfilePlaces {
  /** What `-` stands for. */
  readonly stdin?: Uint8Array | undefined;
  /** Where the files lie that have other names, such as URLs. */
  readonly fetched?: ReadonlyMap<string, string>;
  /** A context from elsewhere: files are looked for in it only, and its links lead nowhere else. */
  readonly within?: SourceRoot;
}

function readFetched(path: string, name: string): FoundFile {
  const read = readSmall(path, 'E_NO_CONTAINERFILE');
  if (!read) throw new BuildError('E_NO_CONTAINERFILE', `Cannot read "${name}": it is gone`);
  return { source: decodeContainerfile(read.bytes, name), mtime: read.mtime };
}

/** The path on this machine; undefined: it is not in the root. */
function pathWithin(root: SourceRoot, file: string): string | undefined {
  const found = resolveSource(root, posix.join('/', file).slice(1));
  return found === undefined ? undefined : hostPath({ root, path: found });
}

function fromStdin(stdin: Uint8Array | undefined): FoundFile {
  return { source: decodeContainerfile(stdin ?? new Uint8Array(), '<stdin>'), mtime: 0 };
}

/** buildah runs files with this ending through the C preprocessor; in BuildKit and here its lines are comments. */
const TEMPLATE = /\.in$/;
const PREPROCESSOR_LINE = /^#(?:include|define|undef|if|ifdef|ifndef|elif|else|endif)\b/m;

function refuseTemplate({ name, text }: SourceFile): void {
  if (!TEMPLATE.test(name) || !PREPROCESSOR_LINE.test(text)) return;
  throw new BuildError('E_UNSUPPORTED', `Cannot build "${name}": it is for the C preprocessor, which is not run`, {
    hint: `Run it yourself: cpp -E -P -traditional ${name} | tsbuild -f - CONTEXT`,
  });
}

function findNamed(context: string, file: string, within: SourceRoot | undefined): FoundFile {
  for (const path of within ? [pathWithin(within, file) ?? []].flat() : [resolve(file), resolve(context, file)]) {
    const read = readSmall(path, 'E_NO_CONTAINERFILE', within === undefined);
    if (!read) continue;
    const source = decodeContainerfile(read.bytes, file);
    refuseTemplate(source);
    return { source, path, mtime: read.mtime };
  }
  throw new BuildError(
    'E_NO_CONTAINERFILE',
    `No such Containerfile: "${file}"${within ? ` in ${within.description}` : ', neither here nor in the context'}`,
    {
      hint: 'Name the file with -f, or "-f -" for standard input',
    },
  );
}

function findDefault(context: string, within: SourceRoot | undefined): FoundFile {
  for (const name of DEFAULT_NAMES) {
    const path = within ? pathWithin(within, name) : join(context, name);
    const read = path === undefined ? undefined : readSmall(path, 'E_NO_CONTAINERFILE', within === undefined);
    if (path !== undefined && read) return { source: decodeContainerfile(read.bytes, name), path, mtime: read.mtime };
  }
  throw new BuildError(
    'E_NO_CONTAINERFILE',
    `No Containerfile or Dockerfile in ${within?.description ?? `"${context}"`}`,
    {
      hint: 'Name the file with -f, or "-f -" for standard input',
    },
  );
}

type IgnoreRules = SourceRoot['ignore'];

function readIgnoreFile(path: string, mayBePipe = true): IgnoreRules {
  const found = readSmall(path, 'E_CONTEXT', mayBePipe);
  return found && { ...parseIgnoreFile(found.bytes.toString('utf8'), basename(path)), fileName: basename(path) };
}

const firstIgnoreFile = (paths: readonly string[]): IgnoreRules => {
  for (const path of paths) {
    const rules = readIgnoreFile(path);
    if (rules) return rules;
  }
  return undefined;
};

/** `x` is a Containerfile or, ending in `/`, a context: of each pair the first is used. */
const ignorePair = (x: string): readonly [string, string] => [`${x}.containerignore`, `${x}.dockerignore`];

const ignorePairs = (context: string, { paths }: BuildInput): readonly (readonly [string, string])[] =>
  [...paths, `${context}/`].map(ignorePair);

/**
 * Two ignore files of one rank that say different things: BuildKit reads `.dockerignore`, we read `.containerignore`.
 */
export function competingIgnoreFiles(context: string, input: BuildInput): readonly { message: string; hint: string }[] {
  const [used, unused] = ignorePairs(context, input).find((pair) => pair.some((path) => existsSync(path))) ?? [];
  if (used === undefined || unused === undefined) return [];
  const [one, other] = [readSmall(used, 'E_CONTEXT'), readSmall(unused, 'E_CONTEXT')];
  if (!one || !other || one.bytes.equals(other.bytes)) return [];
  return [
    {
      message: `${basename(used)} is used, and ${basename(unused)} beside it is not`,
      hint: 'Keep one of the two, or name the one to use with --ignorefile',
    },
  ];
}

/** Most particular first: `<file>.containerignore`, `<file>.dockerignore`, `.containerignore`, `.dockerignore`. */
function contextIgnore(context: string, { input, ignoreFile, within }: ContextFiles): IgnoreRules {
  if (ignoreFile !== undefined) {
    const inContext = within ? pathWithin(within, ignoreFile) : resolve(context, ignoreFile);
    const rules =
      readIgnoreFile(resolve(ignoreFile)) ??
      (inContext === undefined ? undefined : readIgnoreFile(inContext, within === undefined));
    if (rules) return rules;
    throw new BuildError('E_CONTEXT', `No such ignore file: "${ignoreFile}", neither here nor in the context`, {
      hint: 'Check --ignorefile; without it .containerignore and .dockerignore of the context are read',
    });
  }
  return firstIgnoreFile(ignorePairs(context, input).flat());
}

export interface ContextFiles {
  readonly input: BuildInput;
  /** `--ignorefile`: relative to the working directory, else to the context. */
  readonly ignoreFile?: string | undefined;
  /** A context from elsewhere: its links lead nowhere else. */
  readonly within?: SourceRoot | undefined;
}

/** The context as COPY reads it, with its ignore file. Throws `E_CONTEXT`, `E_PARSE`. */
export function contextRoot(context: string, files: ContextFiles): SourceRoot {
  const ignore = contextIgnore(context, files);
  const isLasting = files.within === undefined;
  return { directory: context, description: `the context "${context}"`, ignore, keepsOwners: false, isLasting };
}

/** A directory of `--build-context`: only the ignore file in itself counts (as in BuildKit). */
export function namedContextRoot(name: string, directory: string): SourceRoot {
  const ignore = firstIgnoreFile(ignorePair(`${directory}/`));
  const description = `the build context "${name}" (${directory})`;
  return { directory, description, ignore, keepsOwners: false, isLasting: true };
}
