// What layers cost, beside GNU tar on the same files. Usage: node bench/layers.mjs [LAYER.tar]   (root, or inside the namespace)
// LAYER.tar: an uncompressed layer to unpack, e.g. that of a Debian base image; absent: only the small files.
import { execFileSync } from 'node:child_process';
import { createReadStream, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
const home = mkdtempSync(join(tmpdir(), 'tsbuild-bench-layers-'));
const RUNS = Number(process.env.RUNS ?? 3);

await import(new URL('../scripts/build.mjs', import.meta.url)); // the worker thread's script
await build({
  absWorkingDir: root,
  entryPoints: { layers: 'src/layers/index.ts' },
  outdir: join(root, 'dist'),
  outExtension: { '.js': '.mjs' },
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.18',
  external: ['koffi'],
});
const { LayerDirectories, LayerWorkers, OverlaySnapshotter } = await import(pathToFileURL(join(root, 'dist/layers.mjs')).href);

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

/** Unpacking and packing one tar, ours and GNU tar's in turn, each in a directory of its own. */
async function bothWays(what, tar, { state, directories, name }) {
  const [sum] = execFileSync('sha256sum', [tar], { encoding: 'utf8' }).split(' ');
  const file = async () => ({ path: tar, compression: 'none', check: async () => undefined });
  const descriptor = { mediaType: "", digest: `sha256:${sum}`, size: statSync(tar).size };
  const layer = { diffId: descriptor.digest, descriptor, file, uncompressed: () => createReadStream(tar, { highWaterMark: 262144 }) };
  const target = join(state, `gnu-${name}`);
  mkdirSync(target, { recursive: true });
  await time(`${what}: GNU tar -x`, () =>
    execFileSync('tar', ['-xpf', tar, '-C', target, '--numeric-owner', '--xattrs', '--xattrs-include=*']),
  );
  await time(`${what}: unpack`, () => directories.materialize([layer]));
  await time(`${what}: GNU tar -c | sha256sum`, () =>
    execFileSync('sh', ['-c', `tar -c --xattrs -C '${target}' . | sha256sum`], { stdio: 'ignore' }),
  );
  await time(`${what}: directory -> diffID`, () => workers.run({ kind: 'identify', layer: directories.pathOf(layer.diffId) }));
}

const index = { get: async () => undefined, add: async () => undefined };
const workers = new LayerWorkers();
const source = join(home, 'source');
smallFiles(source, 20_000);
const small = join(home, 'small.tar');
execFileSync('tar', ['-cf', small, '--numeric-owner', '-C', source, '.']);
for (let run = 0; run < RUNS; run++) {
  const state = join(home, `state${run}`);
  const directories = new LayerDirectories(state, workers);
  const active = await new OverlaySnapshotter(directories, index).prepare([]);
  smallFiles(active.mount.upper, 20_000);
  await time('20,000 files: commit (upper directory -> diffID)', () => active.commit({ exclude: [] }));
  await active[Symbol.asyncDispose]();
  await bothWays('20,000 files', small, { state, directories, name: 'small' });
  const tar = process.argv[2];
  if (tar) await bothWays('layer', tar, { state, directories, name: 'layer' });
}
for (const [name, all] of times) {
  const shown = all.map((ms) => `${Math.round(ms)}`).join(' ');
  console.log(`${name.padEnd(52)} best ${Math.round(Math.min(...all))} ms   (${shown})`);
}
if (process.argv[2]) console.log(`layer: ${statSync(process.argv[2]).size} bytes`);
console.log(`resident: ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB at most, in all threads`);
rmSync(home, { recursive: true, force: true });
