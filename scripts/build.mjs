// Bundles the program into dist/: tsbuild.js (the command) and the worker threads' entry points.
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
rmSync(`${root}/dist`, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: {
    tsbuild: 'src/cli/main.ts',
    'layers-worker': 'src/layers/worker.ts',
    'sandbox-worker': 'src/executor/sandbox/worker.ts',
  },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  chunkNames: '[name]-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node20.18',
  // what every start and every thread has to read; names stay, for stack traces
  minifyWhitespace: true,
  minifySyntax: true,
  external: ['koffi'], // native; loaded only where system calls are needed
  define: { TSBUILD_VERSION: JSON.stringify(version) },
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  legalComments: 'none',
  logLevel: 'warning',
});
chmodSync(`${root}/dist/tsbuild.js`, 0o755);
