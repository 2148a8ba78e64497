import type { ArgInstruction, FromInstruction, Instruction } from '../../parser/index.ts';
import type { Findings } from './findings.ts';

/** Rules that look at one instruction as it is written, whatever stands around it. */

/** The keyword as written. */
export const keywordOf = ({ raw }: Pick<Instruction, 'raw'>): string => /^\S*/.exec(raw)?.[0] ?? '';

const isLower = (text: string): boolean => text === text.toLowerCase();
const isUpper = (text: string): boolean => text === text.toUpperCase();

export function checkInstruction(instruction: Instruction, findings: Findings): void {
  switch (instruction.kind) {
    case 'FROM':
      return checkFrom(instruction, findings);
    case 'ARG':
      return checkDescription(
        instruction,
        instruction.args.map(({ name }) => name),
        findings,
      );
    case 'MAINTAINER':
      return findings.report(
        'MaintainerDeprecated',
        'Maintainer instruction is deprecated in favor of using label',
        instruction,
      );
    default:
      return;
  }
}

function checkFrom(instruction: FromInstruction, findings: Findings): void {
  if (instruction.name === undefined) return;
  const [, as = '', name = ''] = /\s(\S+)\s+(\S+)\s*$/.exec(instruction.raw) ?? [];
  if (!isLower(name)) findings.report('StageNameCasing', `Stage name '${name}' should be lowercase`, instruction);
  const from = keywordOf(instruction);
  // A keyword of mixed case is ConsistentInstructionCasing's matter.
  if ((isLower(from) && !isLower(as)) || (isUpper(from) && !isUpper(as))) {
    findings.report('FromAsCasing', `'${as}' and '${from}' keywords' casing do not match`, instruction);
  }
  checkDescription(instruction, [instruction.name], findings);
}

/** An empty comment line separates what is above from the description; options of the lint are none. */
const descriptionLines = (comments: readonly string[]): readonly string[] =>
  comments.slice(comments.lastIndexOf('') + 1).filter((comment) => !/^check\s*=/i.test(comment));

function checkDescription(
  instruction: FromInstruction | ArgInstruction,
  names: readonly string[],
  findings: Findings,
): void {
  const last = descriptionLines(instruction.comments).at(-1);
  const [first] = names;
  if (last === undefined || first === undefined || names.includes(last.split(' ')[0] ?? '')) return;
  const example = names.length > 1 ? '<arg_key>' : first;
  const detail = `Comment for ${instruction.kind} should follow the format: \`# ${example} <description>\``;
  findings.report('InvalidDefinitionDescription', detail, instruction);
}
