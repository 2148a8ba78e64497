// Bundles the program into dist/: tsbuild.js (the command) and the worker threads' entry points.
import { chmodSync, readFileSync, rmSync } from 'node:fs';
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
  target: 'node20.18',
  // what every start and every thread has to read; names stay, for stack traces
  minifyWhitespace: true,
  minifySyntax: true,
  external: ['koffi'], // native; loaded only where system calls are needed
  legalComments: 'none',
  logLevel: 'warning',
};
await build({
  ...common,
  entryPoints: { tsbuild: 'src/cli/main.ts' },
  splitting: true,
  chunkNames: '[name]-[hash]',
  format: 'esm',
  define: { TSBUILD_VERSION: JSON.stringify(version) },
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
});
// CommonJS: a step starts a thread, and loading a module costs it 18 ms more than loading a script
await build({
  ...common,
  entryPoints: {
    'layers-worker': 'src/layers/worker.ts',
    'sandbox-worker': 'src/executor/sandbox/worker.ts',
    'container-worker': 'src/executor/sandbox/container-worker.ts',
  },
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  define: { 'import.meta.url': '__moduleUrl' },
  banner: { js: "const __moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
});
chmodSync(`${root}/dist/tsbuild.js`, 0o755);
