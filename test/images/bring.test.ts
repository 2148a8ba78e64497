import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { importRootfs, listImages, load, push, type SessionOptions } from '../../src/index.ts';
import { tarBytes } from '../layers/support.ts';
import { requires } from '../support/requires.ts';
import { tempDir } from '../support/temp-dir.ts';

function session(): SessionOptions & { readonly root: string } {
  return { root: join(tempDir(), 'store'), emit: () => {}, signal: new AbortController().signal, env: {} };
}

const rootfs = tarBytes([{ path: 'bin/' }, { path: 'bin/sh', body: '#!', mode: 0o755 }]);

function file(bytes: Uint8Array): string {
  const path = join(tempDir(), 'input.tar');
  writeFileSync(path, bytes);
  return path;
}

const self = { execPath: process.execPath, args: [], env: {} };

describe('import', () => {
  it.each([
    ['a tar', rootfs],
    ['a compressed tar', execFileSync('gzip', { input: rootfs })],
  ])('makes an image of %s', async (_name, bytes) => {
    const options = session();
    const { name, imageId } = await importRootfs(file(bytes), 'base', options);
    expect(name).toBe('localhost/base:latest');
    expect(await listImages(options)).toMatchObject([{ name, imageId }]);
  });

  it('takes standard input in pieces of any size', async () => {
    const stdin = (async function* () {
      for (let at = 0; at < rootfs.length; at += 100) yield rootfs.subarray(at, at + 100);
    })();
    expect((await importRootfs('-', 'base', { ...session(), stdin })).name).toBe('localhost/base:latest');
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', Buffer.alloc(0), /it is empty/],
    ['a text', Buffer.from('text'), /not a tar archive/],
    ['an OCI archive', tarBytes([{ path: 'oci-layout' }, { path: 'index.json' }]), /an OCI image archive/],
    ['a Docker archive', tarBytes([{ path: 'manifest.json' }, { path: 'repositories' }]), /a Docker image archive/],
  ])('refuses %s', async (_name, bytes, message) => {
    const options = session();
    const importing = importRootfs(file(bytes), 'base', options);
    await expect(importing).rejects.toMatchObject({ code: 'E_BAD_ARCHIVE', message: expect.stringMatching(message) });
    await expect(importing).rejects.toHaveProperty('hint', expect.any(String));
    expect(await listImages(options)).toEqual([]);
  });

  it('names a file that is not there', async () => {
    await expect(importRootfs('/no/such.tar', 'base', session())).rejects.toMatchObject({ code: 'E_BAD_ARCHIVE' });
  });
});

describe('load', () => {
  it('brings all images of an OCI layout directory', async () => {
    const options = session();
    await importRootfs(file(rootfs), 'base', options);
    const layout = join(tempDir(), 'layout');
    for (const tag of ['one', 'two']) await push('base', `oci:${layout}:${tag}`, { ...options, self });
    const images = await load(layout, session());
    expect(images.map(({ name }) => name)).toEqual(['localhost/image:one', 'localhost/image:two']);
  });

  it('refuses a directory that is no layout', async () => {
    await expect(load(tempDir(), session())).rejects.toMatchObject({ code: 'E_NO_IMAGE' });
  });
});

const isRoot = requires('root, to read layers without the namespace', process.getuid?.() === 0);

it.runIf(isRoot)('says of a layer that was pruned how to get it back', async () => {
  const options = session();
  await importRootfs(file(rootfs), 'base', options);
  const archive = join(tempDir(), 'a.tar');
  await push('base', `oci-archive:${archive}`, { ...options, self });
  const other = session();
  const [image] = await load(archive, other);
  const blobs = execFileSync('find', [join(other.root, 'blobs'), '-type', 'f'], { encoding: 'utf8' })
    .trim()
    .split('\n');
  for (const blob of blobs) {
    const isGzip = execFileSync('head', ['-c2', blob]).toString('hex') === '1f8b';
    if (isGzip) execFileSync('rm', [blob]);
  }
  await expect(push(image?.name ?? '', `oci:${tempDir()}`, { ...other, self })).rejects.toMatchObject({
    code: 'E_CORRUPT_STORE',
    hint: expect.stringContaining('Pull'),
  });
});
