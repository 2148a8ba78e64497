import { posix } from 'node:path';
import { BuildError, type SourceRange } from '../errors.ts';
import { type AddInstruction, type CopyInstruction, remoteSource, type Word } from '../parser/index.ts';
import { isCommitPrefix, parseGitUrl } from './git-url.ts';
import type { CopyOpSource, GitOp, HttpOp, Node } from './op.ts';
import type { StageState } from './stage-state.ts';
import { expandIn, type StepContext } from './step-context.ts';

const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/;
/** BuildKit's name for a file whose URL has none; it is seen only where the destination turns out to be a directory. */
const UNNAMED = '__unnamed__';

export interface RemoteContext {
  readonly instruction: CopyInstruction | AddInstruction;
  readonly state: StageState;
  readonly context: StepContext;
  /** Expanded, as the user wrote it. */
  readonly destination: string;
  /** The index that the first of these inputs will have. */
  readonly firstInput: number;
}

/** The URLs and repositories among the sources of one ADD. */
export class RemoteInputs {
  readonly #of: RemoteContext;
  readonly #nodes: Node[] = [];

  constructor(of: RemoteContext) {
    this.#of = of;
  }

  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  /** The source, if the expanded text is a URL or repository; undefined: it is a path. Throws `E_PARSE` with its place. */
  lower(text: string, range: SourceRange): CopyOpSource | undefined {
    const { instruction } = this.#of;
    const kind = remoteSource(text);
    const checksum = this.#checksum(kind !== undefined);
    if (kind === undefined) return undefined;
    if (instruction.kind === 'COPY') {
      throw new BuildError('E_PARSE', `COPY cannot read ${kind} "${withoutCredentials(text)}"`, {
        hint: 'Use ADD, which can',
        range,
      });
    }
    const written = withoutCredentials(text);
    try {
      const op = kind === 'a URL' ? this.#http(text, checksum) : this.#git(text, instruction, checksum);
      const path = op.kind === 'http' ? escapePattern(op.name) : '.';
      const unpack = op.kind === 'http' && instruction.unpack === true;
      return { type: 'path', path, written, range, input: this.#input(op, written, range), unpack };
    } catch (error) {
      throw error instanceof BuildError ? error.at(range) : error;
    }
  }

  /** BuildKit: one checksum is for one source, and a file of the context needs none. */
  #checksum(isRemote: boolean): Word | undefined {
    const { instruction } = this.#of;
    const checksum = instruction.kind === 'ADD' ? instruction.checksum : undefined;
    if (checksum === undefined || (isRemote && instruction.sources.length === 1)) return checksum;
    const why = isRemote ? 'there are several sources' : 'its source is neither a URL nor a git repository';
    throw new BuildError('E_PARSE', `Cannot use --checksum: ${why}`, {
      hint: isRemote ? 'Write one ADD for each source' : 'Leave it out: files of the context are what they are',
      range: checksum.range,
    });
  }

  #http(text: string, checksum: Word | undefined): HttpOp {
    if (!URL.canParse(text)) {
      throw new BuildError('E_PARSE', `Cannot read the URL "${withoutCredentials(text)}"`, {
        hint: 'Write https://HOST/PATH',
      });
    }
    const url = new URL(text);
    url.hash = '';
    const name = fileName(url);
    if (name === undefined && /(?:^|\/)\.{0,2}$/.test(this.#of.destination)) {
      throw new BuildError('E_PARSE', `Cannot tell the name of the file behind "${withoutCredentials(text)}"`, {
        hint: `The URL ends without a name: name the file in the destination, "${posix.join(this.#of.destination, 'NAME')}"`,
      });
    }
    const digest = this.#expanded(checksum);
    if (checksum && digest !== undefined && !DIGEST.test(digest)) {
      throw new BuildError('E_PARSE', `Cannot use the checksum "${digest}"`, {
        hint: 'Write sha256: (or sha384:, sha512:) and the digest in lower-case hexadecimal digits, all of them',
        range: checksum.range,
      });
    }
    return {
      kind: 'http',
      url: url.href,
      name: name ?? UNNAMED,
      ...(digest === undefined ? {} : { checksum: digest }),
    };
  }

  #git(text: string, { keepGitDir }: AddInstruction, flag: Word | undefined): GitOp {
    const { keepGitDir: keep = keepGitDir, submodules = true, ...url } = parseGitUrl(text);
    const checksum = this.#expanded(flag)?.toLowerCase();
    if (flag && checksum !== undefined && !isCommitPrefix(checksum)) {
      throw new BuildError('E_PARSE', `Cannot use the checksum "${checksum}"`, {
        hint: 'The checksum of a git repository is the id of a commit, or the beginning of it',
        range: flag.range,
      });
    }
    return { kind: 'git', ...url, keepGitDir: keep, submodules, ...(checksum === undefined ? {} : { checksum }) };
  }

  #expanded(word: Word | undefined): string | undefined {
    return word && expandIn(word, this.#of.state, this.#of.context);
  }

  #input(op: HttpOp | GitOp, label: string, range: SourceRange): number {
    const { context, state, firstInput } = this.#of;
    const { nodes, stage } = context;
    const { platform } = state;
    this.#nodes.push(nodes.add({ op, inputs: [], range, label, stage, slot: `${stage}/source/${label}`, platform }));
    return firstInput + this.#nodes.length - 1;
  }
}

/** The last name of the URL's path, percent-decoded; undefined: there is none that a file can have. */
export function fileName(url: URL): string | undefined {
  let path = url.pathname;
  try {
    path = decodeURIComponent(path);
  } catch {
    // not percent-encoded right: as it stands
  }
  const name = posix.basename(path);
  return name === '' || name === '.' || name === '..' || name.includes('\0') ? undefined : name;
}

/** A name or password in a URL does not belong into a history. */
export const withoutCredentials = (text: string): string => text.replace(/^(https?:\/\/)[^/?#]*@/i, '$1xxxxx@');

/** Source paths are patterns: these characters stand for themselves here. */
const escapePattern = (name: string): string => name.replace(/[\\*?[]/g, '\\$&');
