import { BuildError } from '../errors.ts';
import { parseFlags } from './flags.ts';
import type { FromInstruction, Word } from './instructions.ts';
import { rawText, type Statement } from './statement.ts';
import { splitAtBlanks } from './words.ts';

/** BuildKit's `validStageName`. */
const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/;

export function parseFrom(statement: Statement): FromInstruction {
  const platform = parseFlags(statement, 'FROM').get('platform');
  const [image, as, name, ...more] = splitAtBlanks(statement.text, statement.args);
  if (!image) {
    throw new BuildError('E_PARSE', 'FROM has no image', {
      hint: 'Write FROM IMAGE or FROM IMAGE AS NAME',
      range: statement.range,
    });
  }
  const stage = parseName({ as, name, more });
  return {
    kind: 'FROM',
    image,
    ...(platform ? { platform } : {}),
    ...(stage === undefined ? {} : { name: stage }),
    range: statement.range,
    raw: rawText(statement),
    comments: statement.comments,
  };
}

interface Rest {
  readonly as: Word | undefined;
  readonly name: Word | undefined;
  readonly more: readonly Word[];
}

function parseName({ as, name, more }: Rest): string | undefined {
  if (!as) return undefined;
  if (as.text.toLowerCase() !== 'as' || !name || more.length > 0) {
    const unexpected = as.text.toLowerCase() !== 'as' ? as : (more[0] ?? as);
    const message =
      unexpected === as && !name && as.text.toLowerCase() === 'as'
        ? 'FROM has no stage name after AS'
        : `FROM does not take "${unexpected.text}" here`;
    throw new BuildError('E_PARSE', message, {
      hint: 'Write FROM IMAGE or FROM IMAGE AS NAME',
      range: unexpected.range,
    });
  }
  const lower = name.text.toLowerCase();
  if (STAGE_NAME.test(lower)) return lower;
  throw new BuildError('E_PARSE', `Stage name "${name.text}" is not valid`, {
    hint: 'A stage name starts with a letter and has letters, digits, "-", "_" and "." only',
    range: name.range,
  });
}
