// Bundles the program into dist/: tsbuild.js (the command), program.cjs (what it runs) and the threads' entry points.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
rmSync(`${root}/dist`, { recursive: true, force: true });
const common = {
  absWorkingDir: root,
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20.18',
  // what every start and every thread has to read; names stay, for stack traces
  minifyWhitespace: true,
  minifySyntax: true,
  external: ['koffi'], // native; loaded only where system calls are needed
  legalComments: 'none',
  logLevel: 'warning',
};
/** undici's HTTP/2, which is off, would load Node's at each start that talks to a registry. */
const withoutHttp2 = {
  name: 'without-http2',
  setup({ onLoad }) {
    onLoad({ filter: /undici\/lib\/dispatcher\/client-h2\.js$/ }, () => ({ contents: '' }));
  },
};
// CommonJS: loading a module costs a thread 18 ms more than loading a script, and only a script can be kept compiled
await build({
  ...common,
  entryPoints: {
    program: 'src/cli/main.ts',
    'layers-worker': 'src/layers/worker.ts',
    'blob-worker': 'src/store/blob-worker.ts',
    'sandbox-worker': 'src/executor/sandbox/worker.ts',
    'container-worker': 'src/executor/sandbox/container-worker.ts',
  },
  outExtension: { '.js': '.cjs' },
  supported: { 'dynamic-import': false },
  plugins: [withoutHttp2],
  define: { TSBUILD_VERSION: JSON.stringify(version), 'import.meta.url': '__moduleUrl' },
  banner: { js: "const __moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
});
// read beside the script when a layer is compressed with zstd
copyFileSync(fileURLToPath(new URL('zstd.wasm', import.meta.resolve('@bokuweb/zstd-wasm'))), `${root}/dist/zstd.wasm`);
loadLate(`${root}/dist/program.cjs`);
await build({ ...common, entryPoints: { tsbuild: 'src/cli/start.ts' } });
writeFileSync(`${root}/dist/package.json`, '{"type":"commonjs"}\n');
chmodSync(`${root}/dist/tsbuild.js`, 0o755);
keepCompiled();

/** Lets parts of Node that few runs need be loaded when something of them is used: together they take a start 7 ms. */
function loadLate(file) {
  const late = 'child_process|fs/promises|net|readline|timers/promises|v8|worker_threads|zlib';
  const lazy =
    'const __late = (name) => { let loaded; return new Proxy({}, { get: (_, key) => (loaded ??= require(name))[key] }); };';
  const text = readFileSync(file, 'utf8');
  const loading = `require(\\("node:(?:${late})"\\))`;
  const found = new RegExp(`(?<==)(?:${loading}|__toESM\\(${loading},1\\))`, 'g');
  writeFileSync(file, `${lazy}\n${text.replace(found, (_, own, whole) => `__late${own ?? whole}`)}`);
}

/** Builds and pushes an image, so that V8 compiles what that needs. Without success every start compiles it. */
function keepCompiled() {
  const home = mkdtempSync(join(tmpdir(), 'tsbuild-'));
  try {
    writeFileSync(join(home, 'Containerfile'), 'FROM scratch\nCOPY Containerfile /\nENV A=b\nCMD ["sh"]\n');
    const command = ['build', '--root', join(home, 'store'), '--push', '-t', 'REGISTRY/x', home];
    const preload = ['--require', `${root}/scripts/code-cache.cjs`];
    const options = { stdio: 'ignore', env: { PATH: process.env.PATH, HOME: home } };
    spawnSync(process.execPath, [...preload, `${root}/dist/tsbuild.js`, ...command], options);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
