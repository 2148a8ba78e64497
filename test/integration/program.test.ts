import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { tempDir } from '../support/temp-dir.ts';

const PROGRAM = inject('program');

function run(args: readonly string[], input = '') {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], { input, encoding: 'utf8' });
  return { status, stdout, stderr };
}

/** A context whose Containerfile is `text`, and an empty store. */
function project(text: string): { readonly context: string; readonly store: string } {
  const directory = tempDir();
  const context = join(directory, 'context');
  mkdirSync(context);
  writeFileSync(join(context, 'Containerfile'), text);
  return { context, store: join(directory, 'store') };
}

describe('the program', () => {
  it('prints its version', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(run(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
    expect(run(['version'])).toEqual({ status: 0, stdout: `tsbuild ${version}\n`, stderr: '' });
  });

  it.each<[string, string, string, number]>([
    ['a syntax error', 'FROM scratch\nCOPY a\n', 'Containerfile:2:', 3],
    ['an unknown instruction', 'FROM scratch\nRUM x\n', 'E_UNKNOWN_INSTRUCTION', 3],
    ['a missing source', 'FROM scratch\nCOPY nothing /\n', 'Containerfile:2:', 4],
    ['an unreachable registry', 'FROM localhost:1/a\n', 'E_UNAVAILABLE', 7],
  ])('ends for %s with its place and exit code', (_name, text, part, status) => {
    const { context, store } = project(text);
    const result = run(['--root', store, context]);
    expect(result.stderr).toContain(part);
    expect({ status: result.status, stdout: result.stdout }).toEqual({ status, stdout: '' });
  });

  it('says what is missing of itself', () => {
    const { context, store } = project('FROM scratch\nCOPY Containerfile /\n');
    const alone = join(tempDir(), 'dist');
    cpSync(dirname(PROGRAM), alone, { recursive: true });
    const args = [join(alone, basename(PROGRAM)), '--root', store, context];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stderr).toMatch(/error\[E_INSTALLATION\]: Cannot load koffi.*\n[\s\S]*next: Install tsbuild again/);
    expect(status).toBe(1);
  });

  it('builds from stdin and says at the second time that all is cached', () => {
    const { context, store } = project('');
    writeFileSync(join(context, 'a'), 'hello');
    const build = ['--root', store, '-t', 'image0', '-f', '-', context];
    const first = run(build, 'FROM scratch\nCOPY a /\n');
    expect(first.stderr).toContain('image0: 1 step, none cached, ');
    expect(first.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    const second = run(build, 'FROM scratch\nCOPY a /\n');
    expect(second.stderr).toContain('image0: 1 step, all cached, ');
    expect(second.stdout).toBe(first.stdout);
  });

  it('writes an archive to stdout and nothing else', () => {
    const { context, store } = project('FROM scratch\nCOPY Containerfile /\n');
    const args = [PROGRAM, '--root', store, '-o', 'type=tar,dest=-', context];
    const tar = execFileSync(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    expect(execFileSync('tar', ['-t'], { input: tar, encoding: 'utf8' })).toContain('Containerfile\n');
  });

  it('ends quietly when its reader has had enough', () => {
    const script = `"$0" "$1" help build | head -1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', script, process.execPath, PROGRAM], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(stdout).toBe('Usage: tsbuild build [options] [context]\n0\n');
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends after %s with %i', async (signal, status) => {
    const { store } = project('');
    // A pipe that nobody writes to: the command waits for stdin.
    const child = spawn(process.execPath, [PROGRAM, '--root', store, 'load', '-'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    setTimeout(() => child.kill(signal), 1500);
    expect(await ended).toBe(status);
  });
});
