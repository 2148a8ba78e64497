// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the language under test writes variables like this
import { describe, expect, it } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { type ExpandOptions, expand, expandHeredoc, expandWords, parsePorts } from '../../src/parser/index.ts';

const range = {
  source: { name: 'Containerfile', text: 'FROM $x' },
  start: { line: 1, column: 6 },
  end: { line: 1, column: 8 },
};

function options(variables: Record<string, string>, more: Partial<ExpandOptions> = {}): ExpandOptions {
  return { scope: (name) => variables[name], escape: '\\', range, ...more };
}

function errorOf(run: () => unknown): BuildError {
  try {
    run();
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
  throw new Error('no error');
}

describe('expand', () => {
  it('takes a replacement literally, dollar signs included', () => {
    expect(expand('${x//a/$y}', options({ x: 'aba', y: '$1&' }))).toBe('$1&b$1&');
  });

  it('treats regular expression characters in a pattern as plain characters', () => {
    expect(expand('${x/./-} ${x//[a]/b}', options({ x: 'a.[a]' }))).toBe('a-[a] a.b');
  });

  it('strips shortest and longest ends', () => {
    const scope = options({ x: 'a/b.c/d.e' });
    expect(expand('${x#*/} ${x##*/} ${x%.*} ${x%%.*}', scope)).toBe('b.c/d.e d.e a/b.c/d a/b');
  });

  it('follows the escape character of the file', () => {
    expect(expand('C:\\dir\\`$x', options({ x: 'y' }, { escape: '`' }))).toBe('C:\\dir\\$x');
  });

  it('knows unicode names', () => {
    expect(expand('$größe!', options({ größe: '1' }))).toBe('1!');
  });

  it('tells which variables were not set, but not those with a default', () => {
    const missing: string[] = [];
    expand('$a ${b} ${c:-x} $1 ${d#x} $e', options({ e: '' }, { onUndefined: (name) => missing.push(name) }));
    expect(missing).toEqual(['a', 'b', 'd']);
  });

  it('gives the message of ${x:?message} and the place', () => {
    const error = errorOf(() => expand('${x:?set $y first}', options({ y: 'x' })));
    expect(error.code).toBe('E_EXPANSION');
    expect(error.message).toBe('Cannot expand "${x:?set $y first}": "x" is not set: set x first');
    expect(error.range).toBe(range);
  });

  it('refuses nesting that would exhaust the stack', () => {
    const deep = `${'${x:-'.repeat(5000)}y${'}'.repeat(5000)}`;
    expect(errorOf(() => expand(deep, options({}))).message).toContain('nested too deeply');
    expect(expand(`${'${x:-'.repeat(100)}y${'}'.repeat(100)}`, options({}))).toBe('y');
  });

  it('names what can be used instead of an unknown modifier', () => {
    expect(errorOf(() => expand('${x^^}', options({ x: 'a' }))).message).toContain('unsupported modifier "^"');
  });
});

describe('expandWords', () => {
  it('splits what a variable brings, unless it is quoted', () => {
    expect(expandWords('$P "$P" 9', options({ P: '1 2' }))).toEqual(['1', '2', '1 2', '9']);
    expect(expandWords('', options({}))).toEqual([]);
    expect(expandWords('""', options({}))).toEqual(['']);
  });
});

describe('expandHeredoc', () => {
  it('keeps quotes and reads backslashes', () => {
    expect(expandHeredoc('"$x" \'${x}\' \\$x \\\\\n', options({ x: 'v' }))).toBe('"v" \'v\' $x \\\n');
  });

  it('keeps quotes in the words of substitutions', () => {
    expect(expandHeredoc('${x:-"it\'s"}', options({}))).toBe('"it\'s"');
  });
});

describe('parsePorts', () => {
  it('lists a range with its protocol in lower case', () => {
    expect(parsePorts('7000-7002/UDP', range)).toEqual(['7000/udp', '7001/udp', '7002/udp']);
  });

  it('refuses unknown protocols, ports beyond 65535 and ranges that end before they begin', () => {
    for (const spec of ['80/http', '65536', '9-8', 'x', '', ':', '1-2:3-5']) {
      expect([spec, errorOf(() => parsePorts(spec, range)).code]).toEqual([spec, 'E_PARSE']);
    }
  });
});
