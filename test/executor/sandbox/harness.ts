import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Answer, Request, StepAnswer, StepRequest } from './request.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const project = fileURLToPath(new URL('../../..', import.meta.url));

/** Bundles the driver where every user can read it; returns its directory. */
export async function bundleDriver(): Promise<string> {
  const directory = mkdtempSync(`${tmpdir()}/tsbuild-sandbox-`);
  chmodSync(directory, 0o755);
  await build({
    entryPoints: { driver: `${here}driver.ts`, 'sandbox-worker': `${project}src/executor/sandbox/worker.ts` },
    outdir: directory,
    outExtension: {},
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.18',
    external: ['koffi'],
    logLevel: 'error',
  });
  execFileSync('sh', ['-c', `echo '{"type":"module"}' > ${directory}/package.json`]);
  copyNative(directory);
  mkdirSync(`${directory}/tmp`);
  chmodSync(`${directory}/tmp`, 0o1777);
  return directory;
}

/** The one package that is not bundled: the clone may lie where not every user can read it. */
function copyNative(directory: string): void {
  for (const name of readdirSync(`${project}node_modules`)) {
    if (name !== 'koffi' && name !== '@koromix') continue;
    cpSync(`${project}node_modules/${name}`, `${directory}/node_modules/${name}`, { recursive: true });
  }
}

export const userExists = (name: string): boolean => {
  try {
    execFileSync('id', [name], { stdio: 'ignore' });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
};

export const canRunSteps = (): boolean => process.platform === 'linux' && existsSync('/bin/busybox');

let count = 0;

/** Starts the driver as a user of this machine. */
export function startDriver(
  directory: string,
  user: string,
  request: Request,
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  const scratch = `${directory}/tmp/${user}-${count++}`;
  const script = `mkdir ${scratch} && exec ${process.execPath} ${directory}/driver.js ${scratch}`;
  const [command, ...args] = user === 'root' ? ['sh', '-c', script] : ['runuser', '-u', user, '--', 'sh', '-c', script];
  const child = spawn(command ?? 'sh', args, {
    env: { PATH: process.env.PATH, SECRET: 'host', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin?.end(JSON.stringify(request));
  return child;
}

export async function drive(directory: string, user: string, request: Request): Promise<Answer> {
  const child = startDriver(directory, user, request);
  if (!child.stdout || !child.stderr) throw new Error('The driver has no output');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (!stdout.startsWith('{')) throw new Error(`The driver failed: ${stderr}`);
  return JSON.parse(stdout);
}

export async function driveOne(directory: string, user: string, step: StepRequest): Promise<StepAnswer> {
  const { steps } = await drive(directory, user, { steps: [step] });
  const [answer] = steps;
  if (!answer) throw new Error('No step was run');
  return answer;
}
