import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  export interface ProvidedContext {
    /** dist/tsbuild.js, built once for this run; empty where the sources could not be bundled. */
    readonly program: string;
    /** A root filesystem made of busybox-static; empty where that is not installed. */
    readonly busyboxRoot: string;
    /** `127.0.0.1:PORT` of an empty registry; empty where docker-registry is not installed. */
    readonly registry: string;
  }
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUSYBOX = '/bin/busybox';

/** Makes once what integration tests share; each test that needs a missing part says so through `requires`. */
export async function setup(project: TestProject): Promise<() => void> {
  const scratch = mkdtempSync(join(tmpdir(), 'tsbuild-tests-'));
  project.provide('program', bundle());
  project.provide('busyboxRoot', existsSync(BUSYBOX) ? makeBusyboxRoot(join(scratch, 'busybox')) : '');
  const registry = existsSync('/usr/bin/docker-registry') ? await startRegistry(scratch) : undefined;
  project.provide('registry', registry?.address ?? '');
  return () => {
    registry?.stop();
    rmSync(scratch, { recursive: true, force: true });
  };
}

function bundle(): string {
  try {
    execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
    return join(ROOT, 'dist/tsbuild.js');
  } catch (error) {
    if (process.env.CI === 'true') throw error;
    process.stderr.write('dist/tsbuild.js could not be built: tests that run the program will fail\n');
    return '';
  }
}

function makeBusyboxRoot(root: string): string {
  for (const directory of ['bin', 'etc', 'tmp', 'root', 'proc', 'sys', 'dev'])
    mkdirSync(join(root, directory), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
  const applets = execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  for (const applet of applets) if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
  return root;
}

async function startRegistry(scratch: string): Promise<{ readonly address: string; readonly stop: () => void }> {
  const address = `127.0.0.1:${await freePort()}`;
  const config = join(scratch, 'registry.yml');
  const storage = join(scratch, 'registry');
  writeFileSync(
    config,
    `version: 0.1\nlog: { level: error }\nstorage: { filesystem: { rootdirectory: ${storage} }, delete: { enabled: true } }\nhttp: { addr: "${address}" }\n`,
  );
  const server = spawn('/usr/bin/docker-registry', ['serve', config], { stdio: 'ignore' });
  await answers(`http://${address}/v2/`);
  return { address, stop: () => void server.kill() };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}

async function answers(url: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`The test registry at ${url} does not answer`);
}
