import { BuildError } from '../errors.ts';
import { parseFlags } from './flags.ts';
import type {
  ExposeInstruction,
  MaintainerInstruction,
  StopsignalInstruction,
  UserInstruction,
  VolumeInstruction,
  Word,
  WorkdirInstruction,
} from './instructions.ts';
import { parseJsonForm } from './json-form.ts';
import { rawText, type Statement } from './statement.ts';
import { splitAtBlanks, wordAt } from './words.ts';

/** Instructions whose argument is the rest of the line, or a list of words. */

export function parseWorkdir(statement: Statement): WorkdirInstruction {
  return { kind: 'WORKDIR', path: restOfLine(statement, 'WORKDIR', 'a directory'), ...located(statement) };
}

export function parseUser(statement: Statement): UserInstruction {
  return { kind: 'USER', user: restOfLine(statement, 'USER', 'a user'), ...located(statement) };
}

export function parseStopsignal(statement: Statement): StopsignalInstruction {
  return { kind: 'STOPSIGNAL', signal: restOfLine(statement, 'STOPSIGNAL', 'a signal'), ...located(statement) };
}

export function parseMaintainer(statement: Statement): MaintainerInstruction {
  const author = restOfLine(statement, 'MAINTAINER', 'a name').text;
  return { kind: 'MAINTAINER', author, ...located(statement) };
}

export function parseExpose(statement: Statement): ExposeInstruction {
  parseFlags(statement, 'EXPOSE');
  const ports = splitAtBlanks(statement.text, statement.args);
  if (ports.length === 0) throw needsOne(statement, 'EXPOSE', 'a port');
  return { kind: 'EXPOSE', ports, ...located(statement) };
}

export function parseVolume(statement: Statement): VolumeInstruction {
  parseFlags(statement, 'VOLUME');
  const words = parseJsonForm(statement.text, statement.args) ?? splitAtBlanks(statement.text, statement.args);
  const paths = words.map((word) => ({ ...word, text: word.text.trim() }));
  if (paths.length === 0) throw needsOne(statement, 'VOLUME', 'a path');
  const empty = paths.find((path) => path.text === '');
  if (empty) throw new BuildError('E_PARSE', 'VOLUME has an empty path', { hint: 'Name a path', range: empty.range });
  return { kind: 'VOLUME', paths, ...located(statement) };
}

function located(statement: Statement): Pick<UserInstruction, 'range' | 'raw' | 'comments'> {
  return { range: statement.range, raw: rawText(statement), comments: statement.comments };
}

function restOfLine(statement: Statement, instruction: string, what: string): Word {
  parseFlags(statement, instruction);
  if (statement.args.from === statement.args.to) {
    throw new BuildError('E_PARSE', `${instruction} needs exactly one argument`, {
      hint: `Name ${what}`,
      range: statement.range,
    });
  }
  return wordAt(statement.text, statement.args);
}

function needsOne(statement: Statement, instruction: string, what: string): BuildError {
  return new BuildError('E_PARSE', `${instruction} needs at least one argument`, {
    hint: `Name ${what}`,
    range: statement.range,
  });
}
