import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseContexts } from '../../src/contexts.ts';
import { tempDir } from '../support/temp-dir.ts';

const one = (source: string) => parseContexts({ x: source }).named.get('x');

describe('what a build context stands for', () => {
  it.each<[string, string]>([
    ['docker-image://alpine:3', 'alpine:3'],
    ['docker-image://scratch', 'scratch'],
    ['docker://localhost:5000/me/app', 'localhost:5000/me/app'],
    ['container-image://alpine', 'alpine'],
    ['oci-layout://some/dir:tag', 'oci:some/dir:tag'],
    [`oci-layout:///dir@sha256:${'b'.repeat(64)}`, `oci:/dir@sha256:${'b'.repeat(64)}`],
    ['oci-archive:x.tar', 'oci-archive:x.tar'],
    ['docker-archive:x.tar:name', 'docker-archive:x.tar:name'],
    ['dir:somewhere', 'dir:somewhere'],
  ])('an image: %s', (source, name) => {
    expect(one(source)).toEqual({ type: 'image', name });
  });

  it('a file behind a URL, or a repository', () => {
    expect(one('https://example.com/a b')).toEqual({
      type: 'remote',
      op: { kind: 'http', url: 'https://example.com/a%20b', name: 'context', unpack: true },
    });
    expect(one('https://example.com/a.git#v1:sub')).toEqual({
      type: 'remote',
      op: {
        kind: 'git',
        url: 'https://example.com/a.git',
        ref: 'v1',
        subdir: 'sub',
        keepGitDir: false,
        submodules: true,
      },
    });
  });

  it('a directory', () => {
    const directory = tempDir();
    const { named, directories } = parseContexts({ x: directory });
    expect([named.get('x'), directories.get('x')]).toEqual([{ type: 'directory' }, directory]);
  });

  it.each<[string, string]>([
    ['/no/such/directory', 'E_CONTEXT'],
    ['target:stage', 'E_USAGE'],
    ['docker-image://', 'E_USAGE'],
    ['https://:x', 'E_USAGE'],
    ['git@-x:y', 'E_PARSE'],
    ['oci-layout://', 'E_BAD_REFERENCE'],
    ['containers-storage:x', 'E_UNSUPPORTED'],
  ])('not %s', (source, code) => {
    expect(() => one(source)).toThrow(expect.objectContaining({ code, hint: expect.any(String) }));
  });

  it('not a file', () => {
    const file = join(tempDir(), 'file');
    writeFileSync(file, '');
    expect(() => one(file)).toThrow(/not a directory/);
  });

  it.each<[string, Record<string, string>]>([
    ['scratch', { scratch: '.' }],
    ['context', { Context: '.' }],
    ['nothing', { '::linux/arm64': '.' }],
  ])('never %s', (_name, contexts) => {
    expect(() => parseContexts(contexts)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });

  it('has one name, however it is written, but may be for one platform', () => {
    const directory = tempDir();
    mkdirSync(join(directory, 'a'));
    const twice = { alpine: directory, 'docker.io/library/Alpine:latest': directory };
    expect(() => parseContexts(twice)).toThrow(/"alpine" and "docker.io\/library\/Alpine:latest" have one name/);
    expect(parseContexts({ alpine: directory, 'alpine::linux/arm64': directory }).named.size).toBe(2);
  });
});
