import type { SourceRange } from '../errors.ts';
import type { Platform } from '../oci/index.ts';
import { expandHeredoc, expandWords, type Heredoc, type StageInstruction, type Word } from '../parser/index.ts';
import { type ExpandSettings, expandWord, expansionOf } from './expansion.ts';
import type { NodeTable } from './nodes.ts';
import type { Node, Op } from './op.ts';
import type { LowerOptions } from './options.ts';
import type { Scope } from './scope.ts';
import type { StageState } from './stage-state.ts';

/** One instruction in one stage: what its lowering may look at. */
export interface StepContext {
  readonly options: LowerOptions;
  readonly global: Scope;
  readonly escape: '\\' | '`';
  readonly nodes: NodeTable;
  /** Name or index. */
  readonly stage: string;
  /** `stage/position`: the slot, but for the kind. */
  readonly place: string;
  /** The files that a COPY of this instruction reads. */
  readonly copyInput: (from: Word | undefined, range: SourceRange) => Node;
}

const settingsOf = (state: StageState, context: StepContext): ExpandSettings => ({
  scope: state.scope,
  escape: context.escape,
});

/** Expands with the environment before the instruction: `ENV a=1 b=$a` sees the old `a`. */
export const expandIn = (word: Word, state: StageState, context: StepContext): string =>
  expandWord(word, settingsOf(state, context));

/** As `expandIn`, then split at blanks. */
export const expandWordsIn = (word: Word, state: StageState, context: StepContext): readonly string[] =>
  expandWords(word.text, expansionOf(word.range, settingsOf(state, context)));

export function heredocContent(heredoc: Heredoc, state: StageState, context: StepContext): string {
  if (!heredoc.expand) return heredoc.body;
  return expandHeredoc(heredoc.body, expansionOf(heredoc.range, settingsOf(state, context)));
}

interface StepSource {
  readonly instruction: Pick<StageInstruction, 'kind' | 'range' | 'raw'>;
  readonly inputs: readonly Node[];
  readonly platform: Platform;
}

/** The node of an instruction that makes a layer. */
export function addStep(op: Op, { instruction, inputs, platform }: StepSource, context: StepContext): Node {
  return context.nodes.add({
    op,
    inputs,
    range: instruction.range,
    label: instruction.raw,
    stage: context.stage,
    slot: `${context.place}/${instruction.kind}`,
    platform,
  });
}
