import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { codeFrame, dumpContainerfile, parseContainerfile } from '../../src/parser/index.ts';

// UPDATE_FIXTURES=1 writes the goldens anew; read the difference before you commit it.
const update = process.env.UPDATE_FIXTURES === '1';
const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url));

function compare(path: string, found: string): void {
  if (update) writeFileSync(path, found);
  expect(found).toBe(readFileSync(path, 'utf8'));
}

describe('Containerfiles that parse', () => {
  for (const name of readdirSync(`${fixtures}containerfiles`)) {
    it(name, () => {
      const text = readFileSync(`${fixtures}containerfiles/${name}/Containerfile`, 'utf8');
      const dump = dumpContainerfile(parseContainerfile({ name: 'Containerfile', text }));
      compare(
        `${fixtures}containerfiles/${name}/ast.txt`,
        dump.replace(/x{1000,}/, (run) => `x*${run.length}`),
      );
    });
  }
});

describe('Containerfiles that do not parse', () => {
  for (const name of readdirSync(`${fixtures}containerfiles-invalid`)) {
    it(name, () => {
      const text = readFileSync(`${fixtures}containerfiles-invalid/${name}/Containerfile`, 'utf8');
      compare(`${fixtures}containerfiles-invalid/${name}/error.txt`, `${report(text)}\n`);
    });
  }
});

function report(text: string): string {
  try {
    parseContainerfile({ name: 'Containerfile', text });
  } catch (error) {
    if (!(error instanceof BuildError) || !error.range) throw error;
    const { start } = error.range;
    const where = `${error.range.source.name}:${start.line}:${start.column}`;
    return `${error.code} ${where}\n${error.message}\n\n${codeFrame(error.range)}\n\nhint: ${error.hint}`;
  }
  throw new Error('it parses');
}
