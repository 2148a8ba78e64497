// What layers cost, beside GNU tar on the same files. Usage: node bench/layers.mjs [LAYER.tar]   (root, or inside the namespace)
// LAYER.tar: an uncompressed layer to unpack, e.g. that of a Debian base image; absent: only the small files.
import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
const home = mkdtempSync(join(tmpdir(), 'tsbuild-bench-layers-'));
const RUNS = 3;

await import(new URL('../scripts/build.mjs', import.meta.url)); // the worker thread's script
await build({
  absWorkingDir: root,
  entryPoints: { layers: 'src/layers/index.ts' },
  outdir: join(root, 'dist'),
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.18',
  external: ['koffi'],
});
const { LayerDirectories, LayerWorkers, OverlaySnapshotter } = await import(pathToFileURL(join(root, 'dist/layers.js')).href);

const times = new Map();
async function time(name, work) {
  const start = performance.now();
  await work();
  times.set(name, [...(times.get(name) ?? []), performance.now() - start]);
}

function smallFiles(directory, count) {
  for (let n = 0; n < count; n++) {
    const parent = join(directory, `d${n % 200}`);
    if (n < 200) mkdirSync(parent, { recursive: true });
    writeFileSync(join(parent, `file${n}`), Buffer.alloc(1024 + (n % 7) * 1024, `${n} `));
  }
}

const index = { get: async () => undefined, add: async () => undefined };
const workers = new LayerWorkers();
for (let run = 0; run < RUNS; run++) {
  const state = join(home, `state${run}`);
  const directories = new LayerDirectories(state, workers);
  const snapshotter = new OverlaySnapshotter(directories, index);
  const active = await snapshotter.prepare([]);
  smallFiles(active.mount.upper, 20_000);
  const upper = active.mount.upper;
  await time('20,000 files: GNU tar | sha256sum', () =>
    execFileSync('sh', ['-c', `tar -cf - -C '${upper}' . | sha256sum`], { stdio: 'ignore' }),
  );
  await time('20,000 files: commit (upper directory -> diffID)', () => active.commit({ exclude: [] }));
  await active[Symbol.asyncDispose]();
  const tar = process.argv[2];
  if (tar && existsSync(tar)) {
    const layer = { diffId: `sha256:${'0'.repeat(64)}`, uncompressed: () => createReadStream(tar, { highWaterMark: 262144 }) };
    await time('layer: unpack', () => directories.materialize([layer]));
    const target = join(home, `gnu${run}`);
    mkdirSync(target);
    await time('layer: GNU tar -x --xattrs', () =>
      execFileSync('tar', ['-xpf', tar, '-C', target, '--numeric-owner', '--xattrs', '--xattrs-include=*']),
    );
    const path = directories.pathOf(layer.diffId);
    await time('layer: directory -> diffID', () => workers.run({ kind: 'identify', layer: path }));
    await time('layer: GNU tar -c --xattrs | sha256sum', () =>
      execFileSync('sh', ['-c', `tar -c --xattrs -C '${target}' . | sha256sum`], { stdio: 'ignore' }),
    );
  }
}
for (const [name, all] of times) {
  const shown = all.map((ms) => `${Math.round(ms)}`).join(' ');
  console.log(`${name.padEnd(52)} best ${Math.round(Math.min(...all))} ms   (${shown})`);
}
if (process.argv[2]) console.log(`layer: ${statSync(process.argv[2]).size} bytes`);
console.log(`resident: ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB at most, in all threads`);
rmSync(home, { recursive: true, force: true });
