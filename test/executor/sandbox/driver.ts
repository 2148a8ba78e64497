// Runs steps inside the namespace for the tests: a JSON request on standard input, a JSON answer on standard output.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import {
  BuiltinSandbox,
  enterNamespace,
  isInsideNamespace,
  mountView,
  overlayRefusal,
  type ProcessSpec,
} from '../../../src/executor/sandbox/index.ts';
import type { Answer, Request, StepAnswer, StepRequest } from './request.ts';

const scratch = process.argv[2] ?? '';

function makeLower(base: string, { entries = [], layers = 1, isEmpty = false, isSetuid = false }: Request): string[] {
  const lower: string[] = [];
  for (let index = 0; index < layers; index++) {
    const directory = `${base}/layer-${index}`;
    mkdirSync(directory, { recursive: true });
    if (layers > 1) writeFileSync(`${directory}/from-${index}`, `${index}`);
    lower.unshift(directory);
  }
  const top = lower.at(-1) ?? base;
  mkdirSync(`${top}/bin`);
  cpSync('/bin/busybox', `${top}/bin/busybox`);
  if (isSetuid) chmodSync(`${top}/bin/busybox`, 0o4755);
  if (!isEmpty)
    for (const name of ['sh', 'cat', 'ls', 'id', 'sleep', 'true', 'su']) symlinkSync('busybox', `${top}/bin/${name}`);
  for (const { path, link, content, mode } of entries) {
    mkdirSync(dirname(`${top}/${path}`), { recursive: true });
    if (link !== undefined) symlinkSync(link, `${top}/${path}`);
    else writeFileSync(`${top}/${path}`, content ?? '');
    if (mode !== undefined) chmodSync(`${top}/${path}`, mode);
  }
  return lower;
}

function listFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
}

async function runStep(sandbox: BuiltinSandbox, step: StepRequest, lower: readonly string[]): Promise<StepAnswer> {
  const base = mkdtempSync(`${scratch}/step-`);
  for (const name of ['upper', 'work']) mkdirSync(`${base}/${name}`);
  const root = { type: 'overlay', source: 'overlay', lower, upper: `${base}/upper`, work: `${base}/work` } as const;
  const { abortAfterMs, script, ...rest } = step;
  const spec: ProcessSpec = {
    argv: ['sh', '-c', script ?? 'true'],
    env: { PATH: '/bin', GREETING: 'hi' },
    cwd: '/',
    uid: 0,
    gid: 0,
    groups: [],
    network: 'host',
    hostname: 'box',
    directories: [],
    files: [],
    mounts: [],
    ...rest,
  };
  const output = { stdout: '', stderr: '' };
  const abort = new AbortController();
  if (abortAfterMs !== undefined) setTimeout(() => abort.abort(), abortAfterMs).unref();
  const io = {
    onOutput: (stream: 'stdout' | 'stderr', chunk: Uint8Array) => {
      output[stream] += Buffer.from(chunk).toString();
    },
  };
  const start = performance.now();
  try {
    const result = await sandbox.run(spec, root, io, abort.signal);
    return { ...result, ...output, ms: performance.now() - start, upper: listFiles(root.upper) };
  } catch (error) {
    const { code, message } = error as Error & { code?: string }; // what a test wants to see of any error
    return { ...output, ms: performance.now() - start, upper: [], error: `${code}: ${message}` };
  }
}

async function answer(request: Request): Promise<Answer> {
  const lower = makeLower(mkdtempSync(`${scratch}/root-`), request);
  const sandbox = new BuiltinSandbox({ worker: new URL('./sandbox-worker.js', import.meta.url) });
  const before = readFileSync('/proc/self/mountinfo', 'utf8');
  const steps: StepAnswer[] = [];
  if (request.isParallel)
    steps.push(...(await Promise.all(request.steps.map((step) => runStep(sandbox, step, lower)))));
  else for (const step of request.steps) steps.push(await runStep(sandbox, step, lower));
  const view = mountView({ type: 'overlay', source: 'overlay', lower }, scratch);
  const viewed = listFiles(view.path);
  view.dispose();
  sandbox[Symbol.dispose]();
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim();
  return {
    steps,
    viewed,
    overlay: overlayRefusal(scratch),
    isMountTableSame: readFileSync('/proc/self/mountinfo', 'utf8') === before,
    children,
    outside: existsSync('/tmp/tsbuild-outside'),
  };
}

const stdin = await text(process.stdin);
if (isInsideNamespace(process.env)) {
  try {
    process.stdout.write(`${JSON.stringify(await answer(JSON.parse(stdin)))}\n`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
} else {
  const self = { execPath: process.execPath, args: process.argv.slice(1), env: process.env };
  try {
    process.exitCode = await enterNamespace(self, { stdin: Buffer.from(stdin) });
  } catch (error) {
    const { code, message, hint } = error as Error & { code?: string; hint?: string }; // as above
    process.stdout.write(`${JSON.stringify({ code, message, hint })}\n`);
    process.exitCode = 6;
  }
}
