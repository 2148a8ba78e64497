import { parsePlatform } from '../../oci/index.ts';
import { type Containerfile, type FromInstruction, suggest } from '../../parser/index.ts';
import { lookupVariable, type Scope } from '../scope.ts';
import { type Expanded, expandNoting } from './expansion.ts';
import type { Findings } from './findings.ts';

/** Rules that look at what the variables of a FROM line stand for. `global`: the ARGs before the first FROM. */
export function checkFromLines(file: Containerfile, global: Scope, findings: Findings): void {
  const { escape: escapeCharacter } = file.directives;
  for (const { from } of file.stages) {
    reportUndeclared(from, expandNoting(from.image, global, escapeCharacter), { global, findings });
    if (!from.platform) continue;
    const platform = expandNoting(from.platform, global, escapeCharacter);
    reportUndeclared(from, platform, { global, findings });
    checkPlatform(from, platform, { global, findings });
  }
}

interface Context {
  readonly global: Scope;
  readonly findings: Findings;
}

function reportUndeclared(from: FromInstruction, { unmatched }: Expanded, { global, findings }: Context): void {
  for (const name of unmatched) {
    if (global.args.has(name)) continue;
    const near = suggest(name, global.args.keys());
    const suggestion = near === undefined ? '' : ` (did you mean ${near}?)`;
    const hint = near === undefined ? `Declare it with ARG ${name} before the first FROM` : undefined;
    findings.report('UndefinedArgInFrom', `FROM argument '${name}' is not declared${suggestion}`, { ...from, hint });
  }
}

const TARGET = 'TARGETPLATFORM';

function checkPlatform(from: FromInstruction, platform: Expanded, { global, findings }: Context): void {
  const { value, matched, unmatched } = platform;
  const written = from.platform?.text ?? '';
  if (matched.size === 1 && unmatched.size === 0 && matched.has(TARGET) && value === lookupVariable(global, TARGET)) {
    const detail = `Setting platform to predefined ${written} in FROM is redundant as this is the default behavior`;
    findings.report('RedundantTargetPlatform', detail, from);
  }
  if (matched.size + unmatched.size > 0 || namesPlatform(from.name ?? '', value)) return;
  const detail = `FROM --platform flag should not use constant value "${value}"`;
  findings.report('FromPlatformFlagConstDisallowed', detail, from);
}

/** A stage called after its platform is meant to be for that platform; what is no platform is an error elsewhere. */
function namesPlatform(stage: string, text: string): boolean {
  try {
    const { os, architecture } = parsePlatform(text);
    return stage.includes(os) || stage.includes(architecture);
  } catch {
    return true;
  }
}
