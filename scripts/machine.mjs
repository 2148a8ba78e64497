// What the machine must have beside Node and npm, and how it comes there: installed for root, asked for from others.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const isRoot = process.getuid() === 0;

export function say(text) {
  process.stderr.write(`${text}\n`);
}

export function fail(text) {
  say(text);
  process.exit(1);
}

/** Runs a command with its output shown; throws when it fails. */
export function show(command, args, options = {}) {
  say(`$ ${[command, ...args].join(' ')}`);
  return execFileSync(command, args, { cwd: ROOT, stdio: ['inherit', 'inherit', 'inherit'], ...options });
}

/** Installs the npm packages of the lock file where they are missing. */
export function ensureNodeModules() {
  if (existsSync(`${ROOT}/node_modules/.package-lock.json`) || existsSync(`${ROOT}/node_modules/esbuild`)) return;
  say('Installing the npm packages of package-lock.json');
  show('npm', ['ci', '--no-audit', '--no-fund']);
}

/** Installs Debian packages, or says which line root must run. `packages`: name -> a file that it brings. */
export function ensureDebianPackages(packages) {
  const missing = Object.entries(packages)
    .filter(([, file]) => !existsSync(file))
    .map(([name]) => name);
  if (missing.length === 0) return;
  const line = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (!existsSync('/usr/bin/apt-get')) fail(`Missing here, and this is no Debian: ${missing.join(' ')}`);
  if (!isRoot) fail(`Missing here: ${missing.join(' ')}\nAs root, run once:\n\n    ${line}\n`);
  say(`Installing Debian packages: ${missing.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    execFileSync('apt-get', ['update', '-qq'], { env, stdio: 'inherit' });
  } catch {
    say('apt-get update failed; trying with the package lists that are here');
  }
  execFileSync('apt-get', line.split(' ').slice(1), { env, stdio: ['ignore', 'ignore', 'inherit'] });
}
