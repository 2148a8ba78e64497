import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatReference, hexOf, hostPlatform, parseLocalName, parseReference } from '../../src/oci/index.ts';
import { openStore, type Store } from '../../src/store/index.ts';
import { encodeTagName } from '../../src/store/paths.ts';
import { decompress, sampleImage } from '../support/sample-images.ts';

let root = '';
let store: Store;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tsbuild-names-'));
  store = openStore(root, () => ({ decompress }));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const component = fc.stringMatching(/^[a-z0-9]{1,20}(?:[._-][a-z0-9]{1,20}){0,3}$/);
const reference = fc
  .record({
    host: fc.constantFrom('docker.io', 'localhost', 'localhost:5000', 'Quay.io:443', 'xn--a.example.com', '[::1]:5000'),
    path: fc.array(component, { minLength: 1, maxLength: 6 }),
    tag: fc.option(fc.stringMatching(/^[\w][\w.-]{0,127}$/), { nil: undefined }),
    digest: fc.option(fc.stringMatching(/^[0-9a-f]{64}$/), { nil: undefined }),
  })
  .map(({ host, path, tag, digest }) => {
    const suffix = `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@sha256:${digest}`}`;
    return `${host}/${path.join('/')}${suffix}`;
  })
  .filter((text) => text.length < 255);

describe('file names of tags', () => {
  test('are plain, short enough for every filesystem, and differ for different names', () => {
    fc.assert(
      fc.property(reference, reference, (a, b) => {
        const [x, y] = [formatReference(parseReference(a)), formatReference(parseReference(b))];
        expect(encodeTagName(x)).toMatch(/^[A-Za-z0-9._%-]{1,255}$/);
        expect(encodeTagName(x)).not.toMatch(/^\./);
        expect(encodeTagName(x) === encodeTagName(y)).toBe(x === y);
      }),
    );
  });

  test('a name of any form is found again', async () => {
    const image = await sampleImage();
    await store.images.write(image, parseReference('example.com/base:1'));
    await fc.assert(
      fc.asyncProperty(reference, async (text) => {
        const ref = parseReference(text);
        await store.images.write(image, ref);
        const found = await store.images.resolve(ref, image.config);
        expect(found.descriptor.digest).toBe(image.descriptor.digest);
      }),
      { numRuns: 30 },
    );
  });
});

describe('names of images', () => {
  test('a short name is first an image of our own, then one of docker.io', async () => {
    const [pulled, own] = [await sampleImage(), await sampleImage({ env: ['OWN=1'] })];
    await store.images.write(pulled, parseReference('alpine'));
    expect((await store.images.find('alpine')).descriptor.digest).toBe(pulled.descriptor.digest);
    await store.images.write(own, parseLocalName('alpine'));
    expect((await store.images.find('alpine')).descriptor.digest).toBe(own.descriptor.digest);
    expect((await store.images.find('docker.io/library/alpine')).descriptor.digest).toBe(pulled.descriptor.digest);
    expect(await store.images.locate('alpine')).toEqual(parseReference('localhost/alpine:latest'));
    expect(await store.images.locate('nothing')).toBeUndefined();
  });

  test('an image is found by its ID, a prefix of it, and its manifest digest', async () => {
    const image = await sampleImage();
    await store.images.write(image, parseLocalName('me/app:1'));
    const id = hexOf(image.configDescriptor.digest);
    for (const text of [id, `sha256:${id}`, id.slice(0, 12), id.slice(0, 4)]) {
      expect((await store.images.find(text)).descriptor.digest).toBe(image.descriptor.digest);
    }
    const byDigest = parseReference(`other.example/x@${image.descriptor.digest}`);
    expect((await store.images.resolve(byDigest, image.config)).descriptor.digest).toBe(image.descriptor.digest);
  });

  test('a prefix of several IDs is refused with the choices', async () => {
    const { matchId } = await import('../../src/store/image-names.ts');
    const ids = ['ab', 'cd'].map((tail) => parseReference(`x@sha256:1234${tail.repeat(30)}`).digest ?? fail());
    expect(() => matchId('1234', ids)).toThrow(/2 image IDs begin with "1234"/);
    expect(matchId('1234a', ids)).toBe(ids[0]);
    expect(matchId('99', ids)).toBeUndefined();
  });

  test('a digest that was asked for names the image that it led to', async () => {
    const image = await sampleImage();
    const index = parseReference(`quay.io/me/app:1@sha256:${'ab'.repeat(32)}`);
    await store.images.write(image, index);
    expect((await store.images.resolve(index, image.config)).descriptor.digest).toBe(image.descriptor.digest);
    expect((await store.images.find('quay.io/me/app:1')).descriptor.digest).toBe(image.descriptor.digest);
  });

  test('an unknown name is answered with the nearest ones', async () => {
    await store.images.write(await sampleImage(), parseLocalName('image0'));
    await expect(store.images.find('imgae0')).rejects.toMatchObject({
      code: 'E_NO_IMAGE',
      message: 'No image "imgae0" in the store',
      hint: 'Did you mean "localhost/image0:latest"?',
    });
    await expect(store.images.resolve(parseReference('far/away'), hostPlatform())).rejects.toMatchObject({
      code: 'E_NO_IMAGE',
      hint: expect.stringContaining('tsbuild images'),
    });
  });

  test('tagging, untagging and removing', async () => {
    const image = await sampleImage();
    await store.images.write(image, parseLocalName('app'));
    await store.images.tag('app', parseReference('quay.io/me/app:2'));
    expect((await store.images.list()).map((row) => row.name)).toEqual(['localhost/app:latest', 'quay.io/me/app:2']);
    expect(await store.images.remove('app')).toEqual({ untagged: ['localhost/app:latest'] });
    expect(await store.images.remove('quay.io/me/app:2')).toEqual({
      untagged: ['quay.io/me/app:2'],
      imageId: image.configDescriptor.digest,
    });
    expect(await store.images.list()).toEqual([]);
    expect(await store.images.untag(parseReference('quay.io/me/app:2'))).toBe(false);
  });

  test('an image replaced by a newer build is listed without a name', async () => {
    const [older, newer] = [await sampleImage(), await sampleImage({ env: ['NEW=1'] })];
    await store.images.write(older, parseLocalName('app'));
    await store.images.write(newer, parseLocalName('app'));
    const rows = await store.images.list();
    expect(rows.map(({ name, imageId }) => ({ name, imageId }))).toEqual([
      { name: 'localhost/app:latest', imageId: newer.configDescriptor.digest },
      { name: undefined, imageId: older.configDescriptor.digest },
    ]);
    expect(rows[0]).toMatchObject({ created: '2020-01-02T03:04:05Z', platform: 'linux/amd64' });
    expect(rows[0]?.sizeBytes).toBe(newer.layers.reduce((sum, layer) => sum + layer.descriptor.size, 0));
  });

  test('a damaged tag file is no tag, and can be written again', async () => {
    const image = await sampleImage();
    await store.images.write(image, parseLocalName('app'));
    const [file = ''] = await readdir(join(root, 'tags'));
    await writeFile(join(root, 'tags', file), '{"name"');
    await expect(store.images.find('app')).rejects.toMatchObject({ code: 'E_NO_IMAGE' });
    await store.images.write(image, parseLocalName('app'));
    expect((await store.images.find('app')).descriptor.digest).toBe(image.descriptor.digest);
  });
});

function fail(): never {
  throw new Error('no digest');
}
