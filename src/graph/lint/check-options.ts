import { BuildError, type SourceRange } from '../../errors.ts';
import type { Containerfile } from '../../parser/index.ts';
import { buildArg } from '../scope.ts';
import { isExperimental, type LintRule } from './rules.ts';

/** `# check=skip=A,B|all;error=true;experimental=A,B|all`, as BuildKit reads it. */
export interface CheckOptions {
  readonly skip: ReadonlySet<string> | 'all';
  readonly experimental: ReadonlySet<string> | 'all';
  /** A build with warnings fails. */
  readonly error: boolean;
}

const NOTHING: CheckOptions = { skip: new Set(), experimental: new Set(), error: false };

/** The build argument that stands in for the directive of the file. */
const OVERRIDE = 'BUILDKIT_DOCKERFILE_CHECK';
const TRUE = /^(1|t|true|T|TRUE|True)$/;
const FALSE = /^(0|f|false|F|FALSE|False)$/;

type Problem = (problem: string) => BuildError;

/** The options that hold for the whole file. Throws `E_PARSE` at the directive, `E_USAGE` for the build argument. */
export function checkOptionsOf(
  file: Pick<Containerfile, 'source' | 'directives'>,
  buildArgs: Readonly<Record<string, string>>,
): CheckOptions {
  const hint = 'Write skip=RULE,RULE (or skip=all), error=true and experimental=RULE, with ";" between them';
  const override = buildArg(buildArgs, OVERRIDE);
  if (override !== undefined) {
    return parseCheckOptions(override, (problem) => {
      return new BuildError('E_USAGE', `Cannot read the build argument ${OVERRIDE}: ${problem}`, { hint });
    });
  }
  return parseCheckOptions(file.directives.check ?? '', (problem) => {
    const range = directiveRange(file);
    return new BuildError('E_PARSE', `Cannot read the directive "check": ${problem}`, { hint, range });
  });
}

/** The options for one instruction: a comment `check=skip=...` above it skips more (BuildKit; the first one counts). */
export function withComments(options: CheckOptions, comments: readonly string[]): CheckOptions {
  for (const comment of comments) {
    const [, value] = /^check\s*=\s*(\S+)/i.exec(comment) ?? [];
    if (value === undefined) continue;
    const own = lookupCheckOptions(value);
    if (!own) return options;
    return {
      skip: merged(options.skip, own.skip),
      experimental: merged(options.experimental, own.experimental),
      error: options.error,
    };
  }
  return options;
}

export function isChecked(rule: LintRule, { skip, experimental }: CheckOptions): boolean {
  if (isExperimental(rule)) return experimental === 'all' || experimental.has(rule);
  return skip !== 'all' && !skip.has(rule);
}

type Rules = CheckOptions['skip'];

const merged = (a: Rules, b: Rules): Rules => (a === 'all' || b === 'all' ? 'all' : new Set([...a, ...b]));

const ruleList = (text: string): Rules =>
  text === 'all' ? 'all' : new Set(text.split(',').map((rule) => rule.trim()));

function parseCheckOptions(text: string, problem: Problem): CheckOptions {
  if (text.trim() === '') return NOTHING;
  return text.split(';').reduce((options, part) => withPart(options, part, problem), NOTHING);
}

function withPart(options: CheckOptions, part: string, problem: Problem): CheckOptions {
  const equals = part.indexOf('=');
  const key = part.slice(0, Math.max(equals, 0)).trim();
  const value = part.slice(equals + 1).trim();
  if (key === 'skip') return { ...options, skip: ruleList(value) };
  if (key === 'experimental') return { ...options, experimental: ruleList(value) };
  if (key !== 'error') throw problem(`invalid check option "${equals < 0 ? part : key}"`);
  if (!TRUE.test(value) && !FALSE.test(value)) throw problem(`"${value}" is neither true nor false`);
  return { ...options, error: TRUE.test(value) };
}

/** undefined: the comment only looks like options; it is prose. */
function lookupCheckOptions(text: string): CheckOptions | undefined {
  try {
    return parseCheckOptions(text, (problem) => new BuildError('E_PARSE', problem));
  } catch {
    return undefined;
  }
}

function directiveRange({ source }: Pick<Containerfile, 'source'>): SourceRange | undefined {
  const lines = source.text.split('\n');
  const index = lines.findIndex((line) => /^\s*#\s*check\s*=/i.test(line));
  const length = lines[index]?.trimEnd().length;
  if (length === undefined) return undefined;
  return { source, start: { line: index + 1, column: 1 }, end: { line: index + 1, column: length + 1 } };
}
