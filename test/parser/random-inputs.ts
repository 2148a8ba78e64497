import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A small random generator (mulberry32): the same seed gives the same inputs on every machine. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** 0 to below - 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  pick<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new Error('nothing to pick from');
    return value;
  }

  chance(one: number): boolean {
    return this.below(one) === 0;
  }
}

/** Pieces put together: what a grammar is made of, in an order that nobody would write. */
export function soup(random: Random, tokens: readonly string[], longest: number): string {
  let text = '';
  for (let count = random.below(longest + 1); count > 0; count -= 1) text += random.pick(tokens);
  return text;
}

/** The text with a few pieces taken out, doubled, moved or put in. */
export function mutate(random: Random, text: string, tokens: readonly string[]): string {
  let result = text;
  for (let count = 1 + random.below(4); count > 0; count -= 1) {
    const from = random.below(result.length + 1);
    const to = Math.min(result.length, from + random.below(random.chance(4) ? 60 : 4));
    const middle = [
      () => '',
      () => random.pick(tokens),
      () => result.slice(from, to).repeat(2),
      () => [...result.slice(from, to)].reverse().join(''),
      () => result.slice(random.below(result.length + 1)).slice(0, 20),
    ];
    result = result.slice(0, from) + random.pick(middle)() + result.slice(to);
  }
  return result;
}

/** Some whole lines of a longer text. */
export function excerpt(random: Random, text: string): string {
  const lines = text.split(/(?<=\n)/);
  const from = random.below(lines.length);
  return lines
    .slice(from, from + 1 + random.below(12))
    .join('')
    .slice(0, 1500);
}

const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const shared = fileURLToPath(new URL('../../../shared/conformance/', import.meta.url));

function filesNamed(folder: string, name: RegExp, depth: number): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return depth > 0 ? filesNamed(path, name, depth - 1) : [];
      return entry.isFile() && name.test(entry.name) ? [path] : [];
    });
}

/** Real Containerfiles by path: the fixtures, and the conformance set where it is present. */
export function realContainerfiles(): ReadonlyMap<string, string> {
  const name = /^(?:container|docker)file/i;
  const paths = [
    ...filesNamed(`${fixtures}containerfiles`, name, 1),
    ...filesNamed(`${fixtures}graphs`, name, 1),
    ...filesNamed(`${shared}parse/positive`, name, 1),
    ...filesNamed(`${shared}build`, name, 2),
  ].filter((path) => !/ignore$/.test(path) && !/ignore-more/.test(path));
  return new Map(paths.map((path) => [path, readFileSync(path, 'utf8')]));
}
