import { posix } from 'node:path';
import { BuildError } from '../errors.ts';
import type { AddInstruction, CopyInstruction, CopySource, Word } from '../parser/index.ts';
import { copyFlags } from './copy-flags.ts';
import type { CopyOp, CopyOpSource, Node } from './op.ts';
import { RemoteInputs } from './remote-source.ts';
import { type StageState, withHistory, withStep } from './stage-state.ts';
import { addStep, expandIn, heredocContent, type StepContext } from './step-context.ts';

type CopyLike = CopyInstruction | AddInstruction;

/** Absolute and clean; a directory (`x/`, `.`, `x/..`, nothing) ends in `/`. */
export function destinationPath(written: string, workdir: string): string {
  const path = posix.resolve('/', workdir, written);
  const isDirectory = written === '' || /(?:^|\/)\.{0,2}$/.test(written);
  return isDirectory && path !== '/' ? `${path}/` : path;
}

/**
 * `n\?pe` means the file `n?pe`: expansion would take the backslash for itself and leave a pattern that matches more (as
 * BuildKit does; buildah keeps the escape, and Go's filepath.Match has it).
 */
function withGlobEscapes(word: Word): Word {
  if (!word.text.includes('\\') || word.text.includes("'")) return word;
  return { ...word, text: word.text.replace(/\\([\\*?[])/g, (_, c: string) => (c === '\\' ? '\\\\' : `\\\\\\${c}`)) };
}

/** Flags that say something of a URL or a git repository only: passing over them would leave a file unchecked. */
function refuseFetchFlags(instruction: CopyLike, local: string): void {
  if (instruction.kind !== 'ADD') return;
  const { checksum, keepGitDir, range } = instruction;
  if (checksum === undefined && !keepGitDir) return;
  const [flag, kinds] = checksum ? ['--checksum', 'URLs and git repositories'] : ['--keep-git-dir', 'git repositories'];
  throw new BuildError('E_PARSE', `Cannot use ${flag} with "${local}": it is for ${kinds}`, {
    hint: `Take ${flag} out, or give the local source an ADD of its own`,
    range: checksum?.range ?? range,
  });
}

interface Sources {
  readonly instruction: CopyLike;
  readonly state: StageState;
  readonly context: StepContext;
  readonly unpack: boolean;
  readonly remote: RemoteInputs;
}

function lowerSource(source: CopySource, { instruction, state, context, unpack, remote }: Sources): CopyOpSource {
  switch (source.type) {
    case 'heredoc': {
      const { heredoc } = source;
      refuseFetchFlags(instruction, `<<${heredoc.name}`);
      return { type: 'inline', file: { name: heredoc.name, content: heredocContent(heredoc, state, context) } };
    }
    case 'path': {
      const { range } = source.path;
      const path = expandIn(withGlobEscapes(source.path), state, context);
      const fetched = remote.lower(path, range);
      if (fetched) return fetched;
      refuseFetchFlags(instruction, path);
      // BuildKit: a source that expands to nothing is the whole context.
      return { type: 'path', path: path === '' ? '.' : path, range, input: 1, unpack };
    }
  }
}

const sourceText = (source: CopyOpSource): string =>
  source.type === 'path' ? (source.written ?? source.path) : `<<${source.file.name}`;

/** The flags that BuildKit's history has, in its order, and `--from`, which says where the files are from. */
function historyText(instruction: CopyLike, op: CopyOp, written: string): string {
  const from = instruction.kind === 'COPY' ? instruction.from?.text : undefined;
  const flags = [
    ...(op.parents ? ['--parents'] : []),
    ...(from === undefined ? [] : [`--from=${from}`]),
    ...(op.chown === undefined ? [] : [`--chown=${op.chown}`]),
    ...(op.chmod === undefined ? [] : [`--chmod=${op.chmod}`]),
  ];
  return [instruction.kind, ...flags, ...op.sources.map(sourceText), written].join(' ');
}

export function lowerCopy(instruction: CopyLike, state: StageState, context: StepContext): StageState {
  const { destination, range } = instruction;
  const written = expandIn(destination, state, context);
  const unpack = instruction.kind === 'ADD' && instruction.unpack !== false;
  const remote = new RemoteInputs({ instruction, state, context, destination: written, firstInput: 2 });
  const op: CopyOp = {
    kind: 'copy',
    sources: instruction.sources.map((source) => lowerSource(source, { instruction, state, context, unpack, remote })),
    destination: destinationPath(written, state.config.WorkingDir || '/'),
    ...copyFlags(instruction, state, context),
    // made over nothing: directories that WORKDIR promised are left to the step that looks into the image
    pending: instruction.link ? [] : state.pending,
  };
  const from = context.copyInput(instruction.kind === 'COPY' ? instruction.from : undefined, range);
  const node = addStep(
    op,
    { instruction, inputs: [state.node, from, ...remote.nodes], platform: state.platform },
    context,
  );
  const after = instruction.link ? { ...state, node } : withStep(state, node);
  return withHistory(after, historyText(instruction, op, written), node);
}

/** `FROM` of a named context: all of its files are the first layer, over nothing. */
export function withAllFiles(state: StageState, files: Node, context: StepContext): StageState {
  const { range, label, stage } = files;
  const op: CopyOp = {
    kind: 'copy',
    sources: [{ type: 'path', path: '.', range, input: 1, unpack: false }],
    destination: '/',
    link: false,
    parents: false,
    exclude: [],
    pending: [],
  };
  const raw = `FROM ${label}`;
  const { platform } = state;
  const inputs = [state.node, files];
  const node = context.nodes.add({ op, inputs, range, label: raw, stage, slot: `${stage}/FROM`, platform });
  return withHistory(withStep(state, node), raw, node);
}
