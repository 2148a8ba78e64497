/**
 * Patterns of `${x#p}`, `${x%p}` and `${x/p/r}`: `*` and `?` only, `\` before them and before itself makes them
 * literal, `\}` and `\/` stand for `}` and `/`; any other escape is an error. `[` is literal (BuildKit's rules).
 * Matching is by segments between stars, so hostile patterns cost length times length, never more.
 */
type Token = { readonly any: 'one' | 'star' } | { readonly character: string };

export interface ShellPattern {
  /** Runs of single characters; a star stands between two runs. `*a*` is ['', 'a', '']. */
  readonly runs: readonly (readonly Token[])[];
}

/** Beyond this a match could take seconds; no name, path or version comes near it. */
const MOST_COMPARISONS = 100_000_000;

/** Whether matching is sure to end soon, whatever the two texts are. */
export function isAffordable(pattern: string, value: string): boolean {
  return pattern.length * value.length <= MOST_COMPARISONS;
}

/** undefined: the pattern has a bad escape. */
export function parseShellPattern(text: string): ShellPattern | undefined {
  const runs: Token[][] = [[]];
  const characters = [...text];
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? '';
    if (character === '*') runs.push([]);
    else if (character === '?') runs.at(-1)?.push({ any: 'one' });
    else if (character === '\\') {
      at += 1;
      const escaped = characters[at];
      if (escaped === undefined || !'*?\\}/'.includes(escaped)) return undefined;
      runs.at(-1)?.push({ character: escaped });
    } else runs.at(-1)?.push({ character });
  }
  return { runs };
}

export interface StripOptions {
  readonly end: 'prefix' | 'suffix';
  readonly longest: boolean;
}

export function stripPattern(value: string, pattern: ShellPattern, options: StripOptions): string {
  const characters = [...value];
  if (options.end === 'prefix') {
    const end = matchEnd(characters, pattern.runs, { from: 0, longest: options.longest });
    return end === undefined ? value : characters.slice(end).join('');
  }
  // A suffix is the prefix of everything read backwards.
  const runs = pattern.runs.map((run) => [...run].reverse()).reverse();
  const end = matchEnd([...characters].reverse(), runs, { from: 0, longest: options.longest });
  return end === undefined ? value : characters.slice(0, characters.length - end).join('');
}

/** Longest match at the leftmost place; `replacement` is literal. */
export function replacePattern(
  value: string,
  pattern: ShellPattern,
  options: { replacement: string; all: boolean },
): string {
  const characters = [...value];
  const result: string[] = [];
  let at = 0;
  while (at <= characters.length) {
    const match = findMatch(characters, pattern.runs, at);
    if (!match) break;
    result.push(...characters.slice(at, match.start), options.replacement);
    at = match.end;
    if (match.end === match.start) {
      // An empty match moves on by one character, or would repeat for ever.
      result.push(...characters.slice(at, at + 1));
      at += 1;
    }
    if (!options.all) break;
  }
  return result.concat(characters.slice(at)).join('');
}

type Runs = readonly (readonly Token[])[];

function findMatch(text: readonly string[], runs: Runs, from: number): { start: number; end: number } | undefined {
  const first = runs[0] ?? [];
  for (let start = from; start + first.length <= text.length; start += 1) {
    if (!runMatches(text, first, start)) continue;
    const end = matchEnd(text, runs, { from: start, longest: true });
    // What cannot be found behind this place is not behind a later one either.
    return end === undefined ? undefined : { start, end };
  }
  return undefined;
}

/** Where a match that begins at `from` ends. */
function matchEnd(
  text: readonly string[],
  runs: Runs,
  options: { from: number; longest: boolean },
): number | undefined {
  const [first = [], ...rest] = runs;
  if (!runMatches(text, first, options.from)) return undefined;
  let at = options.from + first.length;
  for (const [index, run] of rest.entries()) {
    const last = index === rest.length - 1;
    const place = last && options.longest ? lastPlace(text, run, at) : firstPlace(text, run, at);
    if (place === undefined) return undefined;
    at = place + run.length;
  }
  return at;
}

function firstPlace(text: readonly string[], run: readonly Token[], from: number): number | undefined {
  for (let at = from; at + run.length <= text.length; at += 1) if (runMatches(text, run, at)) return at;
  return undefined;
}

function lastPlace(text: readonly string[], run: readonly Token[], from: number): number | undefined {
  for (let at = text.length - run.length; at >= from; at -= 1) if (runMatches(text, run, at)) return at;
  return undefined;
}

function runMatches(text: readonly string[], run: readonly Token[], at: number): boolean {
  if (at + run.length > text.length) return false;
  return run.every((token, index) => 'any' in token || token.character === text[at + index]);
}
