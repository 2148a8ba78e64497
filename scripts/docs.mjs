// Prints docs/errors.md and docs/cli.md from the program itself; with --check fails where they differ.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { ROOT, say } from './machine.mjs';

/** Loads a TypeScript module of the sources. */
async function load(path) {
  const scratch = mkdtempSync(join(ROOT, 'node_modules/.docs-'));
  try {
    const outfile = join(scratch, 'module.mjs');
    const banner = {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    };
    await build({
      entryPoints: [path],
      absWorkingDir: ROOT,
      outfile,
      bundle: true,
      format: 'esm',
      platform: 'node',
      external: ['koffi'],
      banner,
    });
    return await import(outfile);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const { commandsPage, errorsPage } = await load('scripts/docs-pages.ts');
const isCheck = process.argv.includes('--check');
let isDifferent = false;
for (const [path, text] of [
  ['docs/errors.md', errorsPage()],
  ['docs/cli.md', commandsPage()],
]) {
  const file = join(ROOT, path);
  if (!isCheck) writeFileSync(file, text);
  else if (readFileSync(file, 'utf8') !== text) {
    isDifferent = true;
    say(`${path} is not what the program says: run "npm run docs"`);
  }
}
process.exit(isDifferent ? 1 : 0);
