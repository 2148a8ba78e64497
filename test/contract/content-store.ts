import { describe, expect, test } from 'vitest';
import { type ContentStore, digestOf } from '../../src/oci/index.ts';
import { collect, streamOf } from '../support/sample-images.ts';

export interface ContentStoreUnderTest {
  readonly store: ContentStore;
  /** Changes the stored bytes behind the store's back. */
  damage(digest: ReturnType<typeof digestOf>): Promise<void>;
}

/** What every ContentStore does. */
export function contentStoreContract(name: string, create: () => Promise<ContentStoreUnderTest>): void {
  describe(`${name} as a content store`, () => {
    const bytes = Buffer.from('some content');
    const digest = digestOf(bytes);
    const target = { digest, size: bytes.length };

    test('gives back what was ingested', async () => {
      const { store } = await create();
      expect(await store.ingest(streamOf('some ', 'content'), target)).toEqual(target);
      expect(await store.has(digest)).toBe(true);
      expect(await collect(store.open(target))).toEqual(bytes);
      expect(Buffer.from(await store.read(digest))).toEqual(bytes);
    });

    test('tells digest and size of content that nobody announced', async () => {
      const { store } = await create();
      expect(await store.ingest(streamOf('some content'))).toEqual(target);
      expect(await store.ingest(streamOf())).toEqual({ digest: digestOf(''), size: 0 });
    });

    test('takes the same content twice, also at once', async () => {
      const { store } = await create();
      const ingests = [1, 2, 3].map(() => store.ingest(streamOf('some content'), target));
      expect(await Promise.all(ingests)).toEqual([target, target, target]);
      expect(await store.ingest(streamOf('some content'), target)).toEqual(target);
    });

    test.each([
      ['other bytes of the same size', 'SOME content', 'E_DIGEST_MISMATCH'],
      ['too few bytes', 'some', 'E_SIZE_MISMATCH'],
      ['too many bytes', 'some content and more', 'E_SIZE_MISMATCH'],
    ])('refuses %s and keeps nothing', async (_, sent, code) => {
      const { store } = await create();
      await expect(store.ingest(streamOf(sent), target)).rejects.toMatchObject({ code });
      expect(await store.has(digest)).toBe(false);
      expect(await store.has(digestOf(sent))).toBe(false);
    });

    test('keeps nothing of a source that fails', async () => {
      const { store } = await create();
      async function* failing() {
        yield Buffer.from('some ');
        throw Object.assign(new Error('cable pulled'), { code: 'ENOSPC' });
      }
      // As it was: only the store's own failures are the store's errors.
      await expect(store.ingest(failing(), target)).rejects.toThrow(/^cable pulled$/);
      expect(await store.has(digest)).toBe(false);
    });

    test('keeps nothing of an ingest that was cancelled', async () => {
      const { store } = await create();
      const controller = new AbortController();
      async function* endless() {
        for (let i = 0; ; i++) {
          if (i === 3) controller.abort();
          yield Buffer.from('x');
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      const ingest = store.ingest(endless(), undefined, controller.signal);
      await expect(ingest).rejects.toMatchObject({ code: 'E_CANCELLED' });
    });

    test('cancels also while the source hangs', async () => {
      const { store } = await create();
      const controller = new AbortController();
      async function* hanging() {
        yield Buffer.from('x');
        await new Promise(() => {});
      }
      const ingest = store.ingest(hanging(), undefined, controller.signal);
      setTimeout(() => controller.abort(), 10);
      await expect(ingest).rejects.toMatchObject({ code: 'E_CANCELLED' });
    });

    test('says that a blob is missing', async () => {
      const { store } = await create();
      await expect(store.read(digest)).rejects.toMatchObject({ code: 'E_CORRUPT_STORE' });
      await expect(collect(store.open(target))).rejects.toMatchObject({ code: 'E_CORRUPT_STORE' });
    });

    test('never gives damaged bytes as good ones', async () => {
      const { store, damage } = await create();
      await store.ingest(streamOf(bytes), target);
      await damage(digest);
      await expect(store.read(digest)).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
      await store.ingest(streamOf(bytes), target);
      await damage(digest);
      await expect(collect(store.open(target))).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    });

    test('deletes, and does not mind what is gone already', async () => {
      const { store } = await create();
      await store.ingest(streamOf(bytes), target);
      await store.delete(digest);
      await store.delete(digest);
      expect(await store.has(digest)).toBe(false);
    });
  });
}
