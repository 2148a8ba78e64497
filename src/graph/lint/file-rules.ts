import { formatReference, parseReference } from '../../oci/index.ts';
import type { Containerfile, Instruction, Word } from '../../parser/index.ts';
import type { LowerOptions } from '../options.ts';
import { StageTable } from '../stages.ts';
import { expandQuietly } from './expansion.ts';
import type { Findings } from './findings.ts';
import { keywordOf } from './instruction-rules.ts';

/** Rules that look at the whole file before any stage is entered. */
export function checkFile(file: Containerfile, options: LowerOptions, findings: Findings): void {
  checkContinuations(file, findings);
  checkStageNames(file, findings);
  checkCasing(file, findings);
  checkDefaults(file, options, findings);
}

/** BuildKit points at the last line of the instruction; the empty one is in the hint. */
function checkContinuations(file: Containerfile, findings: Findings): void {
  for (const { rule, range } of file.warnings) {
    if (rule !== 'NoEmptyContinuation') continue;
    const instruction = allInstructions(file).find(
      ({ range: { source, start, end } }) =>
        source === range.source && start.line < range.start.line && range.start.line < end.line,
    );
    const line = instruction?.range.end.line ?? range.start.line;
    const start = { line, column: 1 };
    const end = instruction?.range.end ?? start;
    findings.report('NoEmptyContinuation', 'Empty continuation line', {
      range: { source: range.source, start, end },
      hint: `Take out line ${range.start.line}, which is empty, or end the instruction before it`,
    });
  }
}

const allInstructions = (file: Containerfile): readonly Instruction[] => [
  ...file.globalArgs,
  ...stageInstructions(file),
];

const stageInstructions = (file: Containerfile): readonly Instruction[] =>
  file.stages.flatMap(({ from, instructions }) => [from, ...instructions]);

function checkStageNames(file: Containerfile, findings: Findings): void {
  const seen = new Set<string>();
  for (const { from } of file.stages) {
    const { name } = from;
    if (name === undefined) continue;
    if (name === 'context' || name === 'scratch') {
      const detail = `Stage name should not use the same name as reserved stage "${name}"`;
      findings.report('ReservedStageName', detail, from);
    }
    if (seen.has(name)) {
      findings.report('DuplicateStageName', `Duplicate stage name "${name}", stage names should be unique`, from);
    }
    seen.add(name);
  }
}

/** The majority decides; a tie is upper case. ARGs before the first FROM do not count (BuildKit). */
function checkCasing(file: Containerfile, findings: Findings): void {
  const instructions = stageInstructions(file);
  const keywords = instructions.map(keywordOf);
  const lower = keywords.filter((word) => word === word.toLowerCase()).length;
  const upper = keywords.filter((word) => word === word.toUpperCase()).length;
  const isLower = lower > upper;
  for (const instruction of instructions) {
    const word = keywordOf(instruction);
    if (word === (isLower ? word.toLowerCase() : word.toUpperCase())) continue;
    const detail = `Command '${word}' should match the case of the command majority (${isLower ? 'lowercase' : 'uppercase'})`;
    findings.report('ConsistentInstructionCasing', detail, instruction);
  }
}

/** Without any `--build-arg`, every FROM should still name an image. */
function checkDefaults(file: Containerfile, options: LowerOptions, findings: Findings): void {
  for (const { from } of file.stages) {
    const name = from.image.text.includes('$') ? lookupDefaultName(file, from.image, options) : undefined;
    if (name === undefined || isImageName(name)) continue;
    const detail = `Default value for ARG ${from.image.text} results in empty or invalid base image name`;
    findings.report('InvalidDefaultArgInFrom', detail, from);
  }
}

/** undefined: it cannot be expanded without arguments, and says so itself: `${X:?}`. */
function lookupDefaultName(file: Containerfile, image: Word, options: LowerOptions): string | undefined {
  try {
    const { global } = new StageTable(file, { ...options, buildArgs: {}, target: undefined });
    return expandQuietly(image, global, file.directives.escape);
  } catch {
    return undefined;
  }
}

function isImageName(name: string): boolean {
  try {
    return formatReference(parseReference(name)) !== '';
  } catch {
    return false;
  }
}
