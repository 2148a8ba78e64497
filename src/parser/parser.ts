import { BuildError, type SourceFile, type SourceRange } from '../errors.ts';
import { refuseNul } from './decode.ts';
import { readDirectives } from './directives.ts';
import { notATrigger, parseInstruction } from './instruction.ts';
import type {
  ArgInstruction,
  Containerfile,
  Directives,
  FromInstruction,
  Heredoc,
  Instruction,
  ParseWarning,
  StageInstruction,
  StageSyntax,
} from './instructions.ts';
import { readLogicalLines } from './lines.ts';

/**
 * Text to syntax tree. Grammar and meaning are BuildKit's, without its limit on the length of
 * a line. Throws BuildError with a range: E_PARSE, E_UNKNOWN_INSTRUCTION, E_UNKNOWN_FLAG, E_UNSUPPORTED.
 */
export function parseContainerfile(source: SourceFile): Containerfile {
  return parseContainerfiles([source]);
}

/**
 * Several files as one, in this order, as buildah takes them: instructions before a FROM of the second file belong to
 * the last stage of the first. Every instruction keeps the place in its own file. Directives hold for their file; as
 * `escape` also holds for expansion, the files must agree on it.
 */
export function parseContainerfiles(sources: readonly SourceFile[]): Containerfile {
  const parsed = sources.map(parseOne);
  const [first] = parsed;
  if (!first) throw new BuildError('E_INTERNAL', 'There is no Containerfile to parse');
  const other = parsed.find(({ directives }) => directives.escape !== first.directives.escape);
  if (other) {
    throw new BuildError(
      'E_PARSE',
      `"${other.source.name}" and "${first.source.name}" have different escape directives`,
      {
        hint: `Begin both with the same "# escape=" line`,
        range: fileStart(other.source),
      },
    );
  }
  const instructions = parsed.flatMap((file) => file.instructions);
  return {
    source: first.source,
    directives: first.directives,
    ...splitStages(instructions, first.source),
    warnings: parsed.flatMap((file) => file.warnings),
  };
}

type ParsedFile = Pick<Containerfile, 'source' | 'directives' | 'warnings'> & {
  readonly instructions: readonly Instruction[];
};

function parseOne(source: SourceFile): ParsedFile {
  refuseNul(source);
  const { directives, lastLine, warnings: unused } = readDirectives(source);
  const { lines, warnings } = readLogicalLines(source, { escape: directives.escape, directiveLines: lastLine });
  if (lines.length === 0) {
    throw new BuildError('E_PARSE', `"${source.name}" has no instructions`, {
      hint: 'Begin with FROM',
      range: fileStart(source),
    });
  }
  const instructions = lines.map((line) => parseInstruction(line, { escape: directives.escape }));
  return { source, directives, instructions, warnings: [...unused, ...warnings, ...instructions.flatMap(warningsOf)] };
}

/**
 * One ONBUILD trigger as a base image's config stores it. `sourceName` names it in errors, e.g. `ONBUILD of alpine:3`.
 */
export function parseTrigger(
  trigger: string,
  sourceName: string,
  escapeCharacter: '\\' | '`' = '\\',
): StageInstruction {
  const source = { name: sourceName, text: trigger };
  refuseNul(source);
  const { lines } = readLogicalLines(source, { escape: escapeCharacter });
  const [line] = lines;
  if (!line || lines.length > 1) {
    throw new BuildError('E_PARSE', `ONBUILD trigger must be one instruction, but has ${lines.length}`, {
      hint: 'Use another base image, or have it built again',
      range: fileStart(source),
    });
  }
  const instruction = parseInstruction(line, { escape: escapeCharacter });
  if (instruction.kind === 'FROM' || instruction.kind === 'ONBUILD' || instruction.kind === 'MAINTAINER') {
    throw notATrigger({ keyword: { text: instruction.kind, range: instruction.range } });
  }
  return instruction;
}

/** The instructions before the first one that cannot be read; none where not even the lines can be. */
export function readInstructions(source: SourceFile): {
  readonly directives: Directives;
  readonly instructions: readonly Instruction[];
} {
  const instructions: Instruction[] = [];
  let directives: Directives = { escape: '\\' };
  try {
    const header = readDirectives(source);
    directives = header.directives;
    const { escape: escapeCharacter } = directives;
    const { lines } = readLogicalLines(source, { escape: escapeCharacter, directiveLines: header.lastLine });
    for (const line of lines) instructions.push(parseInstruction(line, { escape: escapeCharacter }));
  } catch (error) {
    // What is wrong is the caller's to say: it has the error of the whole file.
    if (!(error instanceof BuildError)) throw error;
  }
  return { directives, instructions };
}

/** What BuildKit builds without a word although it has no effect, or a surprising one. */
function warningsOf(instruction: Instruction): ParseWarning[] {
  const { range } = instruction;
  if (instruction.kind === 'HEALTHCHECK' && !instruction.command && /^\S+\s+--/.test(instruction.raw)) {
    return [{ message: 'Options of HEALTHCHECK NONE have no effect', range }];
  }
  if (instruction.kind === 'ONBUILD') return warningsOf(instruction.instruction);
  if (instruction.kind === 'RUN' && instruction.command.form === 'shell') {
    return instruction.command.heredocs.filter(({ body }) => body.includes('\r\n')).map(windowsLineEnds);
  }
  return [];
}

/** BuildKit keeps them too, and the step fails with messages that nobody can place. */
function windowsLineEnds({ name, range }: Heredoc): ParseWarning {
  const message = `Heredoc "${name}" has Windows line ends, and the shell takes the carriage returns for text`;
  return { message, range };
}

type Stages = Pick<Containerfile, 'globalArgs' | 'stages'>;

function splitStages(instructions: readonly Instruction[], source: SourceFile): Stages {
  const globalArgs: ArgInstruction[] = [];
  const stages: StageSyntax[] = [];
  let from: FromInstruction | undefined;
  let body: StageInstruction[] = [];
  for (const instruction of instructions) {
    if (instruction.kind === 'FROM') {
      if (from) stages.push({ from, instructions: body });
      from = instruction;
      body = [];
    } else if (from) body.push(instruction);
    else if (instruction.kind === 'ARG') globalArgs.push(instruction);
    else throw beforeFrom(instruction);
  }
  if (!from) {
    throw new BuildError('E_PARSE', `"${source.name}" has no FROM`, {
      hint: 'Add FROM IMAGE after the ARG instructions',
      range: fileStart(source),
    });
  }
  return { globalArgs, stages: [...stages, { from, instructions: body }] };
}

function beforeFrom(instruction: StageInstruction): BuildError {
  return new BuildError('E_PARSE', `${instruction.kind} stands before the first FROM`, {
    hint: 'Only ARG may stand before FROM: begin with FROM IMAGE',
    range: instruction.range,
  });
}

function fileStart(source: SourceFile): SourceRange {
  return { source, start: { line: 1, column: 1 }, end: { line: 1, column: 1 } };
}
