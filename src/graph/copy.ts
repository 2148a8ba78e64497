import { posix } from 'node:path';
import { BuildError } from '../errors.ts';
import type { AddInstruction, CopyInstruction, CopySource, Word } from '../parser/index.ts';
import type { CopyOp, CopyOpSource } from './op.ts';
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

interface Sources {
  readonly state: StageState;
  readonly context: StepContext;
  readonly unpack: boolean;
  readonly remote: RemoteInputs;
}

function lowerSource(source: CopySource, { state, context, unpack, remote }: Sources): CopyOpSource {
  switch (source.type) {
    case 'heredoc': {
      const { heredoc } = source;
      return { type: 'inline', file: { name: heredoc.name, content: heredocContent(heredoc, state, context) } };
    }
    case 'path': {
      const { range } = source.path;
      const path = expandIn(withGlobEscapes(source.path), state, context);
      // BuildKit: a source that expands to nothing is the whole context.
      return remote.lower(path, range) ?? { type: 'path', path: path === '' ? '.' : path, range, input: 1, unpack };
    }
  }
}

const sourceText = (source: CopyOpSource): string =>
  source.type === 'path' ? (source.written ?? source.path) : `<<${source.file.name}`;

function historyText(instruction: CopyLike, op: CopyOp, written: string): string {
  const from = instruction.kind === 'COPY' ? instruction.from?.text : undefined;
  const flags = [
    ...(from === undefined ? [] : [`--from=${from}`]),
    ...(op.chown === undefined ? [] : [`--chown=${op.chown}`]),
    ...(op.chmod === undefined ? [] : [`--chmod=${op.chmod}`]),
  ];
  return [instruction.kind, ...flags, ...op.sources.map(sourceText), written].join(' ');
}

function refuseUnbuilt(instruction: CopyLike): void {
  const { link, exclude, range } = instruction;
  const isRefused = link || exclude.length > 0 || (instruction.kind === 'COPY' && instruction.parents);
  if (isRefused)
    throw new BuildError('E_UNSUPPORTED', `This flag of ${instruction.kind} is not supported yet`, { range });
}

export function lowerCopy(instruction: CopyLike, state: StageState, context: StepContext): StageState {
  const { chown, chmod, destination, range } = instruction;
  refuseUnbuilt(instruction);
  const written = expandIn(destination, state, context);
  const unpack = instruction.kind === 'ADD' && instruction.unpack !== false;
  const remote = new RemoteInputs({ instruction, state, context, destination: written, firstInput: 2 });
  const op: CopyOp = {
    kind: 'copy',
    sources: instruction.sources.map((source) => lowerSource(source, { state, context, unpack, remote })),
    destination: destinationPath(written, state.config.WorkingDir || '/'),
    ...(chown === undefined ? {} : { chown: expandIn(chown, state, context) }),
    ...(chmod === undefined ? {} : { chmod: expandIn(chmod, state, context) }),
    link: instruction.link,
    parents: instruction.kind === 'COPY' && instruction.parents,
    exclude: instruction.exclude.map((pattern) => expandIn(pattern, state, context)),
    pending: state.pending,
  };
  const from = context.copyInput(instruction.kind === 'COPY' ? instruction.from : undefined, range);
  const node = addStep(
    op,
    { instruction, inputs: [state.node, from, ...remote.nodes], platform: state.platform },
    context,
  );
  return withHistory(withStep(state, node), historyText(instruction, op, written), node);
}
