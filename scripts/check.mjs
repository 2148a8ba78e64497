// `npm run check`: format, lint, types, unused code, generated pages, architecture and unit tests.
import { spawnSync } from 'node:child_process';
import { ensureNodeModules, ROOT, say } from './machine.mjs';

ensureNodeModules();
const CHECKS = [
  ['format and lint', 'npx', ['biome', 'ci', '--error-on-warnings']],
  ['types', 'npx', ['tsc', '-p', '.']],
  ['unused code', 'npx', ['knip']],
  ['generated pages', 'node', ['scripts/docs.mjs', '--check']],
  ['architecture and unit tests', 'npx', ['vitest', 'run', '--exclude', 'test/integration/**']],
];
const failed = CHECKS.filter(([name, command, args]) => {
  say(`== ${name}`);
  return spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' }).status !== 0;
});
if (failed.length > 0) say(`Failed: ${failed.map(([name]) => name).join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);
