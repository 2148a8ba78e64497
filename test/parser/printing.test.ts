import { describe, expect, test } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { type Containerfile, parseContainerfile } from '../../src/parser/index.ts';
import { meaningOf, printContainerfile } from './print-containerfile.ts';
import { excerpt, mutate, Random, realContainerfiles, soup } from './random-inputs.ts';

function parsed(text: string): Containerfile | undefined {
  try {
    return parseContainerfile({ name: 'Containerfile', text });
  } catch (error) {
    if (error instanceof BuildError) return undefined;
    throw error;
  }
}

/** print(parse(x)) parses to the same tree, and printing that changes nothing more. */
function comesBack(text: string): boolean {
  const tree = parsed(text);
  if (!tree) return false;
  const printed = printContainerfile(tree);
  const again = parsed(printed);
  if (!again) throw new Error(`does not parse:\n${printed}\nprinted from:\n${text}`);
  expect({ text, printed, tree: meaningOf(again) }).toEqual({ text, printed, tree: meaningOf(tree) });
  expect(printContainerfile(again)).toBe(printed);
  return true;
}

const INSTRUCTIONS = [
  'FROM a\n',
  'FROM --platform=$X "a" AS B\n',
  'ARG ',
  'RUN ',
  'RUN --network=none ',
  'RUN --mount=type=bind,target=/x,"source=a,b" ',
  'CMD ',
  'COPY ',
  'COPY --from=a --chown="1 2" --exclude=\'a"\' ',
  'ADD --unpack=false --checksum=sha256:a ',
  'ENV ',
  'LABEL ',
  'EXPOSE ',
  'VOLUME ',
  'WORKDIR ',
  'USER ',
  'SHELL ',
  'HEALTHCHECK --interval=1m30s --retries=3 CMD ',
  'ONBUILD RUN ',
  'ONBUILD COPY ',
  'MAINTAINER ',
  '# comment\n',
];
const WORDS = [
  'a ',
  'b=c ',
  'd="e f" ',
  "'g h' ",
  '$x ',
  '["a", "b c"]',
  '[" "]',
  '-- ',
  '--x ',
  '\\ ',
  '\\\\',
  '\\"',
  '`',
  '"',
  "'",
  '\u00a0',
  'é',
  '😀',
  '\\\n',
  '\\\n# c\n',
  '\n',
  '<<A <<-"B C" 3<<\\D /x\n1\nA\n\t2\n\tB C\n3\nD\n',
  '<<A ',
  '\nA\n',
  '=',
  '/x ',
];

describe('A tree that is printed and parsed again is the same tree', { timeout: 60_000 }, () => {
  test('for every fixture, and for the Containerfiles of the conformance set where it is present', () => {
    const files = [...realContainerfiles().values()];
    expect(files.filter(comesBack).length).toBeGreaterThan(30);
  });

  test('for generated files', () => {
    const random = new Random(1);
    let count = 0;
    for (let run = 0; run < 6000; run += 1) {
      const head = random.chance(5) ? '# escape=`\n' : '';
      let text = `${head}FROM a\n`;
      for (let left = random.below(5); left > 0; left -= 1)
        text += `${random.pick(INSTRUCTIONS)}${soup(random, WORDS, 5)}\n`;
      if (comesBack(text)) count += 1;
    }
    // The others were refused, and rightly so.
    expect(count).toBeGreaterThan(1500);
  });

  test('for real files with a few changes', () => {
    const random = new Random(2);
    const files = [...realContainerfiles().values()];
    for (let run = 0; run < 3000; run += 1) {
      comesBack(mutate(random, `FROM a\n${excerpt(random, random.pick(files))}`, WORDS));
    }
  });
});
