import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { StepLocks } from '../../src/executor/step-locks.ts';
import { cacheKeyFrom } from '../../src/oci/index.ts';
import { tempDir } from '../support/temp-dir.ts';

const options = { signal: new AbortController().signal, onWait: () => {} };

it('a step is locked by its key, for one at a time, and nothing stays behind', async () => {
  const root = tempDir();
  const order: string[] = [];
  const work = async (name: string, key: string): Promise<boolean> => {
    using lock = await new StepLocks(root).take(cacheKeyFrom(key), options);
    order.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, 40));
    order.push(`${name} ends`);
    return lock.hasWaited;
  };
  const waited = await Promise.all([work('a', 'same'), work('b', 'same'), work('c', 'other')]);
  expect(waited.filter(Boolean)).toHaveLength(1);
  expect(waited[2]).toBe(false);
  const same = order.filter((line) => !line.startsWith('c'));
  expect(same[0]?.slice(0, 1)).toBe(same[1]?.slice(0, 1));
  expect(readdirSync(root)).toEqual([]);
});

it('who waits for a step can be stopped, and is told of it after a moment', async () => {
  const locks = new StepLocks(tempDir());
  using _held = await locks.take(cacheKeyFrom('k'), options);
  const stop = new AbortController();
  const waiting = locks.take(cacheKeyFrom('k'), {
    signal: stop.signal,
    onWait: () => stop.abort(new Error('stopped')),
  });
  await expect(waiting).rejects.toThrow('stopped');
});
