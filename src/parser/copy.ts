import { BuildError } from '../errors.ts';
import { type Flags, parseFlags } from './flags.ts';
import type { AddInstruction, CopyInstruction, CopySource, Heredoc, Word } from './instructions.ts';
import { parseJsonForm } from './json-form.ts';
import { remoteSource } from './remote-source.ts';
import { rawText, type Statement } from './statement.ts';
import { splitAtBlanks } from './words.ts';

export function parseCopy(statement: Statement): CopyInstruction {
  const flags = parseFlags(statement, 'COPY');
  const { sources, destination } = parseSources(statement, 'COPY');
  for (const source of sources) if (source.type === 'path') checkLocalForCopy(source.path);
  const from = flags.get('from');
  return {
    kind: 'COPY',
    sources,
    destination,
    ...(from ? { from } : {}),
    ...owner(flags),
    link: flags.boolean('link') ?? false,
    parents: flags.boolean('parents') ?? false,
    exclude: flags.all('exclude'),
    ...located(statement),
  };
}

export function parseAdd(statement: Statement): AddInstruction {
  const flags = parseFlags(statement, 'ADD');
  const { sources, destination } = parseSources(statement, 'ADD');
  const checksum = flags.get('checksum');
  const unpack = flags.boolean('unpack');
  return {
    kind: 'ADD',
    sources,
    destination,
    ...owner(flags),
    link: flags.boolean('link') ?? false,
    exclude: flags.all('exclude'),
    ...(checksum ? { checksum } : {}),
    keepGitDir: flags.boolean('keep-git-dir') ?? false,
    ...(unpack === undefined ? {} : { unpack }),
    ...located(statement),
  };
}

function owner(flags: Flags): { chown?: Word; chmod?: Word } {
  const chown = flags.get('chown');
  const chmod = flags.get('chmod');
  return { ...(chown ? { chown } : {}), ...(chmod ? { chmod } : {}) };
}

function located(statement: Statement): Pick<CopyInstruction, 'range' | 'raw' | 'comments'> {
  return { range: statement.range, raw: rawText(statement), comments: statement.comments };
}

interface Operands {
  readonly sources: readonly CopySource[];
  readonly destination: Word;
}

function parseSources(statement: Statement, instruction: 'COPY' | 'ADD'): Operands {
  const json = parseJsonForm(statement.text, statement.args);
  const spans = statement.heredocs.map((placed) => placed.span);
  const words = json ?? splitAtBlanks(statement.text, statement.args, spans);
  const destination = words.at(-1);
  if (!destination || words.length < 2) throw tooFew(statement, instruction, destination);
  const heredocAt = new Map(json ? [] : statement.heredocs.map(({ heredoc }) => [positionKey(heredoc.range), heredoc]));
  if (heredocAt.has(positionKey(destination.range))) {
    throw new BuildError('E_PARSE', `${instruction} cannot take a heredoc as its destination`, {
      hint: `Write the destination after the heredoc: ${instruction} ${destination.text} /path/`,
      range: destination.range,
    });
  }
  const sources = words.slice(0, -1).map((path): CopySource => {
    const heredoc = heredocAt.get(positionKey(path.range));
    if (heredoc) checkFileName(heredoc, instruction);
    return heredoc ? { type: 'heredoc', heredoc } : { type: 'path', path };
  });
  return { sources, destination };
}

/** The word is the name of a file in an empty directory: there is nothing to put a path into (BuildKit fails later). */
function checkFileName({ name, range }: Heredoc, instruction: string): void {
  const fileName = name.replace(/^\//, '');
  if (!fileName.includes('/') && !['', '.', '..'].includes(fileName)) return;
  throw new BuildError('E_PARSE', `${instruction} cannot name a file "${name}"`, {
    hint: 'The word of the heredoc is the name of the file; write its directory as the destination',
    range,
  });
}

function positionKey(range: Word['range']): string {
  return `${range.start.line}:${range.start.column}`;
}

function tooFew(statement: Statement, instruction: string, only: Word | undefined): BuildError {
  const message = only
    ? `${instruction} has only one argument, "${only.text}": the destination is missing`
    : `${instruction} has no source and no destination`;
  return new BuildError('E_PARSE', message, {
    hint: `Write ${instruction} SOURCE... DESTINATION`,
    range: only?.range ?? statement.range,
  });
}

function checkLocalForCopy(path: Word): void {
  const remote = remoteSource(path.text);
  if (!remote) return;
  throw new BuildError('E_PARSE', `COPY cannot read ${remote} "${path.text}"`, {
    hint: 'COPY takes files of the context, of a stage or of an image; fetch the file first',
    range: path.range,
  });
}
