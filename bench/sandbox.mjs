// The cost of a step: 20 times `true` in a root of busybox-static. Run: node bench/sandbox.mjs
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';

const RUNS = 20;
const project = fileURLToPath(new URL('..', import.meta.url));

async function bundle() {
  const { build } = await import('esbuild');
  const directory = mkdtempSync(`${tmpdir()}/tsbuild-bench-`);
  const sandbox = `${project}src/executor/sandbox`;
  await build({
    entryPoints: { index: `${sandbox}/index.ts` },
    outdir: directory,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.18',
    external: ['koffi'],
  });
  await import(new URL('../scripts/build.mjs', import.meta.url)); // the thread's script
  cpSync(`${project}dist/sandbox-worker.cjs`, `${directory}/sandbox-worker.cjs`);
  writeFileSync(`${directory}/package.json`, '{"type":"module"}');
  symlinkSync(`${project}node_modules`, `${directory}/node_modules`);
  return directory;
}

async function measure({ BuiltinSandbox }, directory) {
  for (const name of ['lower/bin', 'upper', 'work']) mkdirSync(`${directory}/${name}`, { recursive: true });
  cpSync('/bin/busybox', `${directory}/lower/bin/true`);
  const root = { type: 'overlay', source: 'overlay', lower: [`${directory}/lower`], upper: `${directory}/upper`, work: `${directory}/work` };
  const none = { groups: [], directories: [], files: [], env: { PATH: '/bin' } };
  const spec = { argv: ['true'], cwd: '/', uid: 0, gid: 0, network: 'host', hostname: 'bench', ...none };
  const sandbox = new BuiltinSandbox();
  const times = [];
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    const { status } = await sandbox.run(spec, root, { onOutput: () => {} }, new AbortController().signal);
    if (status.code !== 0) throw new Error(JSON.stringify(status));
    times.push(performance.now() - start);
  }
  sandbox[Symbol.dispose]();
  times.sort((a, b) => a - b);
  console.log(`step: median ${times[RUNS / 2].toFixed(1)} ms, best ${times[0].toFixed(1)} ms, worst ${times[RUNS - 1].toFixed(1)} ms`);
}

const given = process.argv[2];
const directory = given ?? (await bundle());
const room = await import(pathToFileURL(`${directory}/index.js`).href);
if (room.isInsideNamespace(process.env)) await measure(room, directory);
else {
  const self = { execPath: process.execPath, args: [fileURLToPath(import.meta.url), directory], env: process.env };
  process.exitCode = await room.enterNamespace(self);
  rmSync(directory, { recursive: true, force: true });
}
