import type { ArgInstruction, EnvInstruction, LabelInstruction } from '../../parser/index.ts';
import type { Findings } from './findings.ts';
import { keywordOf } from './instruction-rules.ts';

/** `ENV name value`: the old form, one pair a line. */
export function checkLegacyFormat(instruction: EnvInstruction | LabelInstruction, findings: Findings): void {
  const [first] = instruction.pairs;
  const written = instruction.raw.replace(/^\S+\s+/, '');
  if (!first || written.startsWith(`${first.key.text}=`)) return;
  const name = keywordOf(instruction);
  const detail = `"${name} key=value" should be used instead of legacy "${name} key value" format`;
  findings.report('LegacyKeyValueFormat', detail, instruction);
}

/** Whole words of a name, between `_`: `api_key`, `GITHUB_TOKEN`. BuildKit's two lists. */
const SECRET = /(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
const NO_SECRET = /(?:_|^)(?:public|file|version)(?:_|$)/i;

export function checkSecretName(name: string, instruction: ArgInstruction | EnvInstruction, findings: Findings): void {
  if (!SECRET.test(name) || NO_SECRET.test(name)) return;
  const detail = `Do not use ARG or ENV instructions for sensitive data (${instruction.kind} "${name}")`;
  findings.report('SecretsUsedInArgOrEnv', detail, instruction);
}
