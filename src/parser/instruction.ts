import { BuildError } from '../errors.ts';
import { parseCmd, parseEntrypoint, parseRun, parseShell } from './commands.ts';
import { parseAdd, parseCopy } from './copy.ts';
import { parseFlags } from './flags.ts';
import { parseFrom } from './from.ts';
import { parseHealthcheck } from './healthcheck.ts';
import type { Instruction, OnbuildInstruction, StageInstruction } from './instructions.ts';
import { parseArg, parseEnv, parseLabel } from './key-values.ts';
import type { LogicalLine } from './lines.ts';
import { parseExpose, parseMaintainer, parseStopsignal, parseUser, parseVolume, parseWorkdir } from './plain.ts';
import { argsText, rawText, type SplitOptions, type Statement, splitStatement } from './statement.ts';
import { unknownInstruction } from './unknown-instruction.ts';

type Parse<T extends Instruction> = (statement: Statement) => T;

const STAGE_PARSERS: ReadonlyMap<string, Parse<StageInstruction>> = new Map<string, Parse<StageInstruction>>([
  ['RUN', parseRun],
  ['COPY', parseCopy],
  ['ADD', parseAdd],
  ['ENV', parseEnv],
  ['ARG', parseArg],
  ['LABEL', parseLabel],
  ['WORKDIR', parseWorkdir],
  ['USER', parseUser],
  ['EXPOSE', parseExpose],
  ['VOLUME', parseVolume],
  ['ENTRYPOINT', parseEntrypoint],
  ['CMD', parseCmd],
  ['SHELL', parseShell],
  ['STOPSIGNAL', parseStopsignal],
  ['HEALTHCHECK', parseHealthcheck],
  ['MAINTAINER', parseMaintainer],
]);

const KEYWORDS = ['FROM', 'ONBUILD', ...STAGE_PARSERS.keys()];

export function parseInstruction(line: LogicalLine, options: SplitOptions): Instruction {
  const statement = splitStatement(line, options);
  const keyword = statement.keyword.text.toUpperCase();
  if (keyword === 'FROM') return parseFrom(statement);
  if (keyword === 'ONBUILD') return parseOnbuild(statement, line);
  const parse = STAGE_PARSERS.get(keyword);
  if (!parse) throw unknownInstruction(statement, KEYWORDS);
  return parse(statement);
}

function parseOnbuild(statement: Statement, line: LogicalLine): OnbuildInstruction {
  parseFlags(statement, 'ONBUILD');
  const written = argsText(statement);
  if (written === '') {
    throw new BuildError('E_PARSE', 'ONBUILD needs at least one argument', {
      hint: 'Write ONBUILD INSTRUCTION ARGUMENTS',
      range: statement.range,
    });
  }
  const inner = splitStatement(line, { escape: statement.escape, from: statement.args.from });
  checkTrigger(inner);
  const instruction = parseInstruction(line, { escape: statement.escape, from: statement.args.from });
  // checkTrigger has excluded FROM already; this tells the compiler.
  if (instruction.kind === 'FROM') throw notATrigger(inner);
  const bodies = statement.heredocs.map(({ heredoc }) => `\n${heredoc.body}${heredoc.name}`);
  return {
    kind: 'ONBUILD',
    trigger: written + bodies.join(''),
    // The inner instruction's own line begins behind ONBUILD.
    instruction: { ...instruction, raw: written },
    range: statement.range,
    raw: rawText(statement),
    comments: statement.comments,
  };
}

function checkTrigger(inner: Statement): void {
  if (['ONBUILD', 'FROM', 'MAINTAINER'].includes(inner.keyword.text.toUpperCase())) throw notATrigger(inner);
}

/** FROM, MAINTAINER and ONBUILD cannot run later, in somebody else's build (BuildKit's rule). */
export function notATrigger(statement: Pick<Statement, 'keyword'>): BuildError {
  const keyword = statement.keyword.text.toUpperCase();
  const hint = keyword === 'ONBUILD' ? 'Write ONBUILD once' : `Take ONBUILD away from the ${keyword} instruction`;
  return new BuildError('E_PARSE', `ONBUILD cannot trigger ${keyword}`, { hint, range: statement.keyword.range });
}
