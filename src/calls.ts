import type { BuildOptions, Call, Report } from './api.ts';
import type { Workspace } from './assembly.ts';
import { everyRequired, knownBases } from './bases.ts';
import { BuildError, EXIT_CODES } from './errors.ts';
import type { BuildInput, SourceRoot } from './executor/index.ts';
import {
  type LintInput,
  type LintResult,
  type LowerOptions,
  lint,
  lintJson,
  lintText,
  lintUnreadable,
  mergedLint,
  outline,
  outlineJson,
  outlineText,
  targetsJson,
  targetsText,
} from './graph/index.ts';
import { type Containerfile, parseContainerfiles } from './parser/index.ts';

export interface CallInput {
  readonly options: BuildOptions;
  /** One a platform. */
  readonly lowerings: readonly LowerOptions[];
  readonly input: BuildInput;
  /** Of the context. */
  readonly ignore: SourceRoot['ignore'];
  readonly workspace: Workspace;
}

/** Answers a question about the Containerfile; nothing is built, and no registry is asked unless `pull` says so. */
export async function answerCall({ what, format }: Call, input: CallInput): Promise<Report> {
  const isJson = format === 'json';
  switch (what) {
    case 'check':
      return lintReport(mergedLint(await Promise.all(input.lowerings.map((each) => check(each, input)))), isJson);
    case 'outline': {
      const [lowering] = input.lowerings;
      if (lowering === undefined) throw new BuildError('E_INTERNAL', 'There is no platform to build for');
      const facts = outline(parseContainerfiles(input.input.containerfiles), lowering);
      return report(isJson ? outlineJson(facts) : outlineText(facts));
    }
    case 'targets': {
      const file = parseContainerfiles(input.input.containerfiles);
      return report(isJson ? targetsJson(file) : targetsText(file));
    }
    case 'graph':
      throw new BuildError('E_INTERNAL', 'The graph is printed by the build');
    default:
      return what satisfies never;
  }
}

const report = (text: string): Report => ({ kind: 'report', text, exitCode: 0 });

/** As buildx does: any warning makes it fail. */
function lintReport(result: LintResult, isJson: boolean): Report {
  const { warnings, error } = result;
  return {
    kind: 'report',
    text: isJson ? lintJson(result) : lintText(result),
    exitCode: error?.exitCode ?? (warnings.length > 0 ? EXIT_CODES.E_LINT : 0),
    ...(error ? { error } : {}),
  };
}

async function check(lowering: LowerOptions, { options, input, ignore, workspace }: CallInput): Promise<LintResult> {
  const settings: Omit<LintInput, 'images'> = { options: lowering, ignore, stages: 'all' };
  let file: Containerfile;
  try {
    file = parseContainerfiles(input.containerfiles);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    return lintUnreadable(input.containerfiles, error, { ...settings, images: new Map() });
  }
  return lint(file, { ...settings, images: await basesOf(file, lowering, { options, workspace }) });
}

async function basesOf(
  file: Containerfile,
  lowering: LowerOptions,
  { options, workspace }: Pick<CallInput, 'options' | 'workspace'>,
): Promise<LintInput['images']> {
  if (everyRequired(file, lowering, new Map()).length === 0) return new Map();
  const { pull, emit } = options;
  const { configs, missing } = await knownBases(file, lowering, { workspace, pull, session: options });
  if (missing.length > 0) {
    const names = missing.map((name) => `"${name}"`).join(', ');
    const message = `Not in the store, so their variables and platforms are not checked: ${names} (--pull fetches them)`;
    emit({ type: 'info', message });
  }
  return configs;
}
