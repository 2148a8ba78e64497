// `npm run demo`: from a machine with only Node and npm to image0, its second, cached build, image0.oci.tar, and its page.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { ensureDebianPackages, ensureNodeModules, fail, isRoot, ROOT, say, show } from './machine.mjs';

const PROGRAM = 'dist/tsbuild.js';
const LOCAL_BASE = 'localhost/tsbuild-demo/debian';
const REGISTRY_BASE = 'debian:stable-slim';
const ARCHIVE = 'image0.oci.tar';
/** DEMO_PORT=NUMBER chooses another. */
const PORT = process.env.DEMO_PORT ?? '8001';

function tsbuild(...args) {
  show(process.execPath, [PROGRAM, ...args]);
}

function has(name) {
  return spawnSync(process.execPath, [PROGRAM, 'inspect', name], { cwd: ROOT, stdio: 'ignore' }).status === 0;
}

/** The ids beside the user's own, without which the owners of a Debian's files cannot be made. */
function checkSubIds() {
  if (isRoot) return;
  const { username, uid } = userInfo();
  const missing = ['/etc/subuid', '/etc/subgid'].filter((file) => {
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
    return !lines.some((line) => line.startsWith(`${username}:`) || line.startsWith(`${uid}:`));
  });
  if (missing.length === 0) return;
  fail(
    `${username} has no range of sub-ids in ${missing.join(' and ')}.\nAs root, run once:\n\n` +
      `    usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}\n`,
  );
}

async function isRegistryReachable() {
  const answer = await fetch('https://registry-1.docker.io/v2/', { signal: AbortSignal.timeout(5000) }).catch(
    () => undefined,
  );
  return answer !== undefined && (answer.ok || answer.status === 401);
}

/** $BASE, an image of a registry, or a Debian made of the packages of this machine's own sources. */
async function findBase() {
  if (process.env.BASE) return process.env.BASE;
  if (has(LOCAL_BASE)) return LOCAL_BASE;
  if (await isRegistryReachable()) {
    const pull = [PROGRAM, 'pull', REGISTRY_BASE];
    if (spawnSync(process.execPath, pull, { cwd: ROOT, stdio: 'inherit', timeout: 120_000 }).status === 0)
      return REGISTRY_BASE;
  }
  say('No registry is reachable: making a Debian base image from packages');
  makeDebianBase();
  return LOCAL_BASE;
}

function makeDebianBase() {
  ensureDebianPackages({ mmdebstrap: '/usr/bin/mmdebstrap', uidmap: '/usr/bin/newuidmap' });
  checkSubIds();
  const scratch = mkdtempSync(join(tmpdir(), 'tsbuild-demo-'));
  const tar = join(scratch, 'rootfs.tar');
  try {
    const mode = isRoot ? 'root' : 'unshare';
    show('mmdebstrap', ['--quiet', '--variant=apt', `--mode=${mode}`, codename(), tar, ...aptSources()]);
    tsbuild('import', tar, LOCAL_BASE);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function codename() {
  const found = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'));
  return found?.[1] ?? 'stable';
}

/** Where this machine's Debian packages come from; nothing means mmdebstrap's default. */
function aptSources() {
  const files = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'];
  const used = files.find((file) => existsSync(file) && /^(deb |Types:)/m.test(readFileSync(file, 'utf8')));
  return used === undefined ? [] : [used];
}

/** Runs image0, fetches its page as a browser would, and leaves nothing behind. */
async function showPage() {
  const run = ['run', '-d', '-p', `${PORT}:80`, 'image0'];
  const stdio = ['inherit', 'pipe', 'inherit'];
  const container = show(process.execPath, [PROGRAM, ...run], { stdio, encoding: 'utf8' }).trim();
  say(container);
  try {
    tsbuild('ps');
    const url = `http://localhost:${PORT}/`;
    say(`$ curl ${url}`);
    const answer = await fetch(url, { signal: AbortSignal.timeout(30_000) });
    const page = await answer.text();
    say(page.trimEnd());
    if (!answer.ok || !page.includes('Hello, world')) throw new Error(`${url} answered ${answer.status}`);
  } finally {
    tsbuild('stop', container);
    tsbuild('rm', container);
  }
}

function timed(label, work) {
  const start = performance.now();
  work();
  return `${label}: ${((performance.now() - start) / 1000).toFixed(2)} s`;
}

ensureNodeModules();
ensureDebianPackages({ 'ca-certificates': '/etc/ssl/certs/ca-certificates.crt' });
execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: ROOT, stdio: 'inherit' });

try {
  const base = await findBase();
  const build = ['-t', 'image0', '-f', 'fixtures/helloworld/Containerfile', '--build-arg', `BASE=${base}`];
  const first = timed('first build', () => tsbuild(...build, 'fixtures/helloworld'));
  tsbuild('images');
  const second = timed('second build', () => tsbuild(...build, 'fixtures/helloworld'));
  rmSync(join(ROOT, ARCHIVE), { force: true });
  tsbuild('push', 'image0', `oci-archive:${ARCHIVE}:image0`);
  await showPage();
  say(
    `\n${first}\n${second} (every step from the cache)\n${ARCHIVE} is ready: podman load -i ${ARCHIVE}\n` +
      `Its page was fetched; to see it yourself: node ${PROGRAM} run --rm -p ${PORT}:80 image0`,
  );
} catch (error) {
  fail(`The demo stopped: ${error.message}`);
}
