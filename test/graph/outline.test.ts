import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { outline, outlineJson, outlineText, targetsJson, targetsText } from '../../src/graph/index.ts';
import { OPTIONS, parse } from './support/lowering.ts';

const root = new URL('../../fixtures/outlines/', import.meta.url);
const read = (url: URL): string => readFileSync(url, 'utf8');

function expectOnRecord(text: string, golden: URL): void {
  if (process.env.UPDATE_FIXTURES === '1') writeFileSync(golden, text);
  expect(text).toBe(read(golden));
}

describe('Outline and targets of a file are those on record (UPDATE_FIXTURES=1 writes them anew)', () => {
  test.each(readdirSync(root))('%s', (name) => {
    const folder = new URL(`${name}/`, root);
    const optionsPath = new URL('options.json', folder);
    const options = existsSync(optionsPath) ? JSON.parse(read(optionsPath)) : {};
    const file = parse(read(new URL('Containerfile', folder)));
    expectOnRecord(outlineText(outline(file, { ...OPTIONS, ...options })), new URL('outline.txt', folder));
    expectOnRecord(targetsText(file), new URL('targets.txt', folder));
  });

  test('as JSON', () => {
    const folder = new URL('buildkit/', root);
    const file = parse(read(new URL('Containerfile', folder)));
    const options = { ...OPTIONS, target: 'target', buildArgs: { BAR: '678' } };
    expectOnRecord(outlineJson(outline(file, options)), new URL('outline.json', folder));
    expectOnRecord(targetsJson(file), new URL('targets.json', folder));
  });
});

test("the outline of BuildKit's own test has its arguments, in its order", () => {
  const file = parse(read(new URL('buildkit/Containerfile', root)));
  const { name, description, args } = outline(file, { ...OPTIONS, target: 'target', buildArgs: { BAR: '678' } });
  expect([name, description]).toEqual(['target', 'defines build target']);
  expect(args.map((arg) => [arg.name, arg.value, arg.description, arg.range.start.line])).toEqual([
    ['inherited', 'box', undefined, 1],
    ['sfx', 'usybox', 'is a suffix', 5],
    ['FOO', '123', undefined, 9],
    ['BAR', '678', 'is a number', 11],
    ['ABC', 'a', undefined, 19],
    ['password', undefined, undefined, 21],
    ['alternate_password', undefined, 'will show up in the outline', 24],
  ]);
});
