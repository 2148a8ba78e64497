import { BuildError, type SourceFile } from '../../errors.ts';
import { type Containerfile, readInstructions } from '../../parser/index.ts';
import { neededStages } from '../needed-stages.ts';
import type { BaseImages, LowerOptions } from '../options.ts';
import { StageTable } from '../stages.ts';
import { checkOptionsOf } from './check-options.ts';
import type { ContextIgnore } from './copy-rules.ts';
import { checkFile } from './file-rules.ts';
import { Findings, type LintWarning } from './findings.ts';
import { checkFromLines } from './from-rules.ts';
import { checkInstruction } from './instruction-rules.ts';
import { StageRules } from './stage-rules.ts';

export interface LintInput {
  readonly options: LowerOptions;
  /** Those that are known. A stage on an unknown one may use any variable; its platform is not checked. */
  readonly images: BaseImages;
  /** The ignore file of the context, if there is one. */
  readonly ignore?: ContextIgnore | undefined;
  /** `all`: of stages, unless a target is given; `needed`: what the build runs. */
  readonly stages: 'all' | 'needed';
}

export interface LintResult {
  readonly sources: readonly SourceFile[];
  readonly warnings: readonly LintWarning[];
  /** Why the file could not be built, or not be looked at any further. */
  readonly error?: BuildError;
  /** `error=true` and there are warnings: a build stops here with this `E_LINT`. */
  readonly violation?: BuildError;
}

/** BuildKit's rules over a file (containerfile-reference section 12). Never throws `BuildError` for what the file says. */
export function lint(file: Containerfile, input: LintInput): LintResult {
  const { globalArgs, stages } = file;
  const instructions = [...globalArgs, ...stages.flatMap((stage) => [stage.from, ...stage.instructions])];
  const sources = [...new Set(instructions.map(({ range }) => range.source))];
  return collect({ ...file, sources }, input, (findings) => {
    for (const instruction of instructions) checkInstruction(instruction, findings);
    checkFile(file, input.options, findings);
    checkStages(file, input, findings);
  });
}

/** What can be said of files that cannot be parsed: of the instructions before the error. */
export function lintUnreadable(sources: readonly SourceFile[], error: BuildError, input: LintInput): LintResult {
  const [first = { name: '', text: '' }] = sources;
  const { directives } = readInstructions(first);
  return collect({ source: first, directives, sources }, input, (findings) => {
    for (const { instructions } of sources.map(readInstructions)) {
      for (const instruction of instructions) checkInstruction(instruction, findings);
    }
    throw error;
  });
}

function checkStages(file: Containerfile, { options, images, ignore, stages }: LintInput, findings: Findings): void {
  const table = new StageTable(file, options);
  checkFromLines(file, table.global, findings);
  const rules = new StageRules({ file, table, options, images, ignore, findings });
  const isEvery = stages === 'all' && (options.target === undefined || options.target === '');
  const indexes = isEvery ? file.stages.keys() : neededStages(table.target, table, images);
  for (const index of indexes) rules.check(index);
}

type Header = Pick<Containerfile, 'source' | 'directives'> & Pick<LintResult, 'sources'>;

function collect(file: Header, { options }: LintInput, check: (findings: Findings) => void): LintResult {
  const checkOptions = checkOptionsOf(file, options.buildArgs);
  const findings = new Findings(checkOptions);
  let error: BuildError | undefined;
  try {
    check(findings);
  } catch (caught) {
    if (!(caught instanceof BuildError)) throw caught;
    error = caught;
  }
  const warnings = findings.list(file.sources);
  const [first] = warnings;
  return {
    sources: file.sources,
    warnings,
    ...(error ? { error } : {}),
    ...(checkOptions.error && first ? { violation: violationOf(warnings, first) } : {}),
  };
}

function violationOf(warnings: readonly LintWarning[], { range }: LintWarning): BuildError {
  const rules = [...new Set(warnings.map(({ rule }) => rule))].join(', ');
  return new BuildError('E_LINT', `Lint violation found for rules: ${rules}`, {
    hint: 'Correct the file, or add the rules to the "# check=skip=..." at its top: it says error=true',
    range,
    fields: { rules },
  });
}
