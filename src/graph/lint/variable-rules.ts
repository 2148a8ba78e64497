import {
  type AddInstruction,
  type CopyInstruction,
  type ExpandOptions,
  expand,
  expandHeredoc,
  expandWords,
  type StageInstruction,
  suggest,
  type Word,
} from '../../parser/index.ts';
import type { Scope } from '../scope.ts';
import { noting } from './expansion.ts';
import type { Findings } from './findings.ts';

interface Settings {
  readonly scope: Scope;
  /** Variables that nobody sets here may come from the base image. */
  readonly isOpen: boolean;
  readonly instruction: StageInstruction;
  /** What follows in the stage. */
  readonly rest: readonly StageInstruction[];
  readonly escape: ExpandOptions['escape'];
  readonly findings: Findings;
}

/** One wrong letter in a short name is another name. */
const SHORTEST_TO_CORRECT = 3;

/** UndefinedVar: expands the words of one instruction as the build does, and reports what is not set there. */
export class VariableRules {
  readonly #settings: Settings;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  within(scope: Scope): VariableRules {
    return new VariableRules({ ...this.#settings, scope });
  }

  expand(word: Word): string {
    return this.#read(word, (options) => expand(word.text, options));
  }

  expandAll(words: readonly Word[]): void {
    for (const word of words) this.expand(word);
  }

  /** The words that one written word expands to. */
  split(word: Word): readonly string[] {
    let words: readonly string[] = [];
    this.#read(word, (options) => {
      words = expandWords(word.text, options);
      return '';
    });
    return words;
  }

  /** Expands all of a COPY or ADD; gives the sources that are paths. */
  copySources(instruction: CopyInstruction | AddInstruction): readonly string[] {
    const { destination, chown, chmod, exclude } = instruction;
    const checksum = instruction.kind === 'ADD' ? instruction.checksum : undefined;
    const paths: string[] = [];
    for (const source of instruction.sources) {
      if (source.type === 'path') paths.push(this.expand(source.path));
      else if (source.heredoc.expand) this.#expandBody(source.heredoc);
    }
    this.expandAll([destination, chown, chmod, checksum, ...exclude].filter((word) => word !== undefined));
    return paths;
  }

  #expandBody({ body, range }: { readonly body: string; readonly range: Word['range'] }): void {
    this.#read({ text: body, range }, (options) => expandHeredoc(body, options));
  }

  #read({ range }: Word, read: (options: ExpandOptions) => string): string {
    const { scope, escape: escapeCharacter } = this.#settings;
    const { value, unmatched } = noting(scope, (lookup) => read({ ...lookup, escape: escapeCharacter, range }));
    for (const name of unmatched) this.#report(name, range);
    return value;
  }

  #report(name: string, range: Word['range']): void {
    const { scope, isOpen, instruction, rest, findings } = this.#settings;
    if (scope.args.has(name)) return;
    const near =
      name.length < SHORTEST_TO_CORRECT ? undefined : suggest(name, [...scope.env.keys(), ...scope.args.keys()]);
    const isLater = rest.some((later) => declares(later, name));
    if (isOpen && !isLater && !isSlip(name, near)) return;
    const suggestion = near === undefined ? '' : ` (did you mean $${near}?)`;
    const declare = isLater
      ? `Declare ${name} before this line: it is declared further down`
      : `Declare it with ARG ${name} in this stage, or set it with ENV`;
    const hint = near === undefined ? declare : undefined;
    const { comments } = instruction;
    findings.report('UndefinedVar', `Usage of undefined variable '$${name}'${suggestion}`, { range, comments, hint });
  }
}

/** $GOPATH is near $PATH and yet the base image's own; a swapped, lost or doubled letter is a slip. */
const isSlip = (name: string, near: string | undefined): boolean =>
  near !== undefined && Math.abs(near.length - name.length) <= 1;

function declares(instruction: StageInstruction, name: string): boolean {
  if (instruction.kind === 'ARG') return instruction.args.some((arg) => arg.name === name);
  return instruction.kind === 'ENV' && instruction.pairs.some(({ key }) => key.text === name);
}
