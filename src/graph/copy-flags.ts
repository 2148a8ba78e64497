import { BuildError, type SourceRange } from '../errors.ts';
import { type AddInstruction, type CopyInstruction, parseIgnorePatterns, type Word } from '../parser/index.ts';
import { parseChmod } from './chmod.ts';
import type { CopyOp } from './op.ts';
import type { StageState } from './stage-state.ts';
import { expandIn, type StepContext } from './step-context.ts';

type Flags = Pick<CopyOp, 'chown' | 'chmod' | 'link' | 'parents' | 'exclude'>;

/** The flags of COPY and ADD, expanded and checked: a mistake in them is found before any step runs. */
export function copyFlags(
  instruction: CopyInstruction | AddInstruction,
  state: StageState,
  context: StepContext,
): Flags {
  const { link } = instruction;
  /** BuildKit: a flag that expands to nothing is not there. */
  const optional = (word: Word | undefined): string | undefined =>
    (word && expandIn(word, state, context)) || undefined;
  const chown = optional(instruction.chown);
  const chmod = optional(instruction.chmod);
  if (chmod !== undefined) located(instruction.chmod?.range, () => parseChmod(chmod));
  if (chown !== undefined && link) requireNumbers(chown, instruction.chown?.range);
  return {
    ...(chown === undefined ? {} : { chown }),
    ...(chmod === undefined ? {} : { chmod }),
    link,
    parents: instruction.kind === 'COPY' && instruction.parents,
    exclude: instruction.exclude.map((word) => excludePattern(word, state, context)),
  };
}

function located<T>(range: SourceRange | undefined, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof BuildError && range ? error.at(range) : error;
  }
}

/** Names are in the image's passwd and group, which a layer that is made without the image cannot look into. */
function requireNumbers(chown: string, range: SourceRange | undefined): void {
  const name = chown.split(':', 2).find((part) => !/^\d*$/.test(part));
  if (name === undefined) return;
  throw new BuildError(
    'E_PARSE',
    `Cannot look up "${name}" of --chown=${chown}: --link makes the layer without the image`,
    {
      hint: 'Write numbers (--chown=1000:1000), or take --link out',
      range,
    },
  );
}

function excludePattern(word: Word, state: StageState, context: StepContext): string {
  const pattern = expandIn(word, state, context);
  try {
    parseIgnorePatterns([pattern]);
  } catch (cause) {
    throw new BuildError('E_PARSE', `The pattern "${pattern}" of --exclude is not valid`, {
      hint: 'It has the language of .dockerignore: write [[] for a plain "[", and a path behind "!"',
      range: word.range,
      cause,
    });
  }
  return pattern;
}
