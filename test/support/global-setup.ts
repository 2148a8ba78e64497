import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
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
import { ordinaryUser, plainUser } from './ordinary-user.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** dist/tsbuild.js, built once for this run; empty where the sources could not be bundled. */
    readonly program: string;
    /** A root filesystem made of busybox-static; empty where that is not installed. */
    readonly busyboxRoot: string;
    /** `127.0.0.1:PORT` of an empty registry; empty where docker-registry is not installed. */
    readonly registry: string;
    /** A copy of the program that every user may read and run; empty where `program` is. */
    readonly installed: string;
    /** `127.0.0.1:PORT/base/busybox:latest`, made of busyboxRoot by `tsbuild import`; empty where a part is missing. */
    readonly base: string;
    /** An ordinary user with sub-ids for tests that run as root; empty where there is none. */
    readonly ordinaryUser: string;
    /** One without. */
    readonly plainUser: string;
  }
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUSYBOX = '/bin/busybox';

/** Makes once what integration tests share; each test that needs a missing part says so through `requires`. */
export async function setup(project: TestProject): Promise<() => void> {
  const scratch = mkdtempSync(join(tmpdir(), 'tsbuild-tests-'));
  chmodSync(scratch, 0o755);
  const program = bundle();
  const installed = program === '' ? '' : install(join(scratch, 'program'));
  const busyboxRoot = existsSync(BUSYBOX) ? makeBusyboxRoot(join(scratch, 'busybox')) : '';
  project.provide('program', program);
  project.provide('installed', installed);
  project.provide('busyboxRoot', busyboxRoot);
  project.provide('ordinaryUser', ordinaryUser());
  project.provide('plainUser', plainUser());
  const registry = existsSync('/usr/bin/docker-registry') ? await startRegistry(scratch) : undefined;
  project.provide('registry', registry?.address ?? '');
  const hasBase = installed !== '' && busyboxRoot !== '' && registry !== undefined;
  project.provide('base', hasBase ? pushBase({ installed, busyboxRoot, scratch, registry: registry.address }) : '');
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

/** The checkout may lie where only its owner can read. */
function install(directory: string): string {
  cpSync(join(ROOT, 'dist'), join(directory, 'dist'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(directory, 'package.json'));
  for (const name of ['koffi', '@koromix']) {
    const source = join(ROOT, 'node_modules', name);
    if (existsSync(source))
      cpSync(source, join(directory, 'node_modules', name), { recursive: true, dereference: true });
  }
  execFileSync('chmod', ['-R', 'go=u-w', directory]);
  return join(directory, 'dist/tsbuild.js');
}

interface BaseParts {
  readonly installed: string;
  readonly busyboxRoot: string;
  readonly scratch: string;
  readonly registry: string;
}

function pushBase({ installed, busyboxRoot, scratch, registry }: BaseParts): string {
  const name = `${registry}/base/busybox:latest`;
  const tar = join(scratch, 'busybox.tar');
  const stable = ['--sort=name', '--mtime=@1600000000', '--owner=0', '--group=0', '--numeric-owner'];
  execFileSync('tar', [...stable, '-C', busyboxRoot, '-cf', tar, '.']);
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1600000000' };
  const run = (...args: readonly string[]) =>
    execFileSync(process.execPath, [installed, '--root', join(scratch, 'store'), ...args], { env, stdio: 'pipe' });
  run('import', '-q', tar, name);
  run('push', '-q', name);
  return name;
}

function makeBusyboxRoot(root: string): string {
  for (const directory of ['bin', 'etc', 'tmp', 'root', 'proc', 'sys', 'dev'])
    mkdirSync(join(root, directory), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  chmodSync(join(root, 'root'), 0o700);
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
