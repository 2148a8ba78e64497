import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseChmod } from '../../src/graph/chmod.ts';
import { tempDir } from '../support/temp-dir.ts';

const who = fc.constantFrom('u', 'g', 'o', 'a', 'ug', 'go', 'uo');
const permissions = fc.oneof(
  fc.uniqueArray(fc.constantFrom('r', 'w', 'x', 'X', 's', 't'), { maxLength: 4 }).map((letters) => letters.join('')),
  fc.constantFrom('u', 'g', 'o'),
);
const action = fc.tuple(fc.constantFrom('+', '-', '='), permissions).map((parts) => parts.join(''));
const clause = fc
  .tuple(who, fc.array(action, { minLength: 1, maxLength: 2 }))
  .map(([w, actions]) => w + actions.join(''));
const symbolic = fc.array(clause, { minLength: 1, maxLength: 3 }).map((clauses) => clauses.join(','));

it('does what chmod(1) does', () => {
  const root = tempDir();
  const paths = { file: join(root, 'file'), directory: join(root, 'directory') };
  writeFileSync(paths.file, '');
  mkdirSync(paths.directory);
  fc.assert(
    fc.property(symbolic, fc.integer({ min: 0, max: 0o7777 }), fc.boolean(), (spec, mode, isDirectory) => {
      const path = isDirectory ? paths.directory : paths.file;
      chmodSync(path, mode);
      execFileSync('chmod', ['--', spec, path]);
      expect(parseChmod(spec)(mode, isDirectory).toString(8)).toBe((statSync(path).mode & 0o7777).toString(8));
    }),
    { numRuns: 150 },
  );
});
