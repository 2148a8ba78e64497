import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { CacheMounts, type CacheRequest } from '../../src/executor/cache-mounts.ts';
import { tempDir } from '../support/temp-dir.ts';

const uid = process.getuid?.() ?? 0;
const gid = process.getgid?.() ?? 0;

function caches() {
  const base = tempDir();
  const root = join(base, 'cache-mounts');
  mkdirSync(root);
  const mounts = new CacheMounts({
    root,
    owners: 'real',
    createActive: async () => mkdtempSync(join(base, 'active-')),
    remove: async (paths) => {
      for (const path of paths) rmSync(path, { recursive: true, force: true });
    },
    measure: async () => 7,
  });
  const waits: string[] = [];
  const take = (id: string, sharing: CacheRequest['sharing'] = 'shared', more: Partial<CacheRequest> = {}) =>
    mounts.take(
      { id, sharing, mode: 0o755, uid, gid, ...more },
      { signal: AbortSignal.timeout(5000), onWait: () => waits.push(id) },
    );
  return { base, root, mounts, take, waits };
}

/** Whether it is settled soon. */
const isReady = async (promise: Promise<unknown>): Promise<boolean> =>
  Promise.race([promise.then(() => true), sleep(200).then(() => false)]);

describe('A cache of RUN', () => {
  test('is a new empty directory with its mode, and the same one later, as it was left', async () => {
    const { take } = caches();
    const { directory, ...first } = await take('a', 'shared', { mode: 0o2770 });
    expect(statSync(directory).mode & 0o7777).toBe(0o2770);
    expect(readdirSync(directory)).toEqual([]);
    writeFileSync(join(directory, 'kept'), '');
    first[Symbol.dispose]();
    const again = await take('a', 'locked', { mode: 0o700 });
    expect(again.directory).toBe(directory);
    expect(readdirSync(directory)).toEqual(['kept']);
    expect(statSync(directory).mode & 0o7777).toBe(0o2770);
    expect((await take('b')).directory).not.toBe(directory);
  });

  test('begins with a copy of its seed, and is another one for another seed', async () => {
    const { take } = caches();
    const seed = (name: string) => ({
      name,
      copyTo: async (target: string) => {
        mkdirSync(target);
        writeFileSync(join(target, name), '');
      },
    });
    const one = await take('a', 'shared', { seed: seed('one') });
    const two = await take('a', 'shared', { seed: seed('two') });
    expect([readdirSync(one.directory), readdirSync(two.directory)]).toEqual([['one'], ['two']]);
    expect(readdirSync((await take('a')).directory)).toEqual([]);
  });

  test('that cannot be filled is not there', async () => {
    const { base, root, take } = caches();
    const copyTo = async () => {
      throw new Error('no such path');
    };
    await expect(take('a', 'shared', { seed: { name: 'x', copyTo } })).rejects.toThrow('no such path');
    expect(readdirSync(root).filter((name) => !name.endsWith('.lock'))).toEqual([]);
    expect(readdirSync(base)).toEqual(['cache-mounts']);
  });

  test('is made once by those who share it and come at once', async () => {
    const { take } = caches();
    const all = await Promise.all(Array.from({ length: 20 }, () => take('a')));
    expect(new Set(all.map(({ directory }) => directory)).size).toBe(1);
    expect(existsSync(all[0]?.directory ?? '')).toBe(true);
  });

  test('that is locked makes others wait, who are told after a second', async () => {
    const { take, waits } = caches();
    const first = await take('a', 'locked');
    const second = take('a', 'locked');
    expect(await isReady(second)).toBe(false);
    expect(waits).toEqual([]);
    await sleep(1100);
    expect(waits).toEqual(['a']);
    first[Symbol.dispose]();
    expect((await second).directory).toBe(first.directory);
  });

  test('that is private is another one while it is in use', async () => {
    const { take } = caches();
    const [first, second, third] = [await take('a', 'private'), await take('a', 'private'), await take('a', 'private')];
    expect(new Set([first.directory, second.directory, third.directory]).size).toBe(3);
    second[Symbol.dispose]();
    expect((await take('a', 'private')).directory).toBe(second.directory);
  });

  test('is not waited for after the build was cancelled', async () => {
    const { mounts, take } = caches();
    await take('a', 'locked');
    const controller = new AbortController();
    const request = { id: 'a', sharing: 'locked', mode: 0o755, uid, gid } as const;
    const waiting = mounts.take(request, { signal: controller.signal, onWait: () => {} });
    controller.abort(new Error('cancelled'));
    await expect(waiting).rejects.toThrow('cancelled');
  });

  test('is pruned unless somebody uses it; nothing is left, and it can be made again', async () => {
    const { root, base, mounts, take } = caches();
    const used = await take('used');
    (await take('idle'))[Symbol.dispose]();
    expect(await mounts.prune({ dryRun: true })).toEqual({ removed: 1, freedBytes: 7 });
    expect(readdirSync(root)).toHaveLength(4);
    expect(await mounts.prune({ dryRun: false })).toEqual({ removed: 1, freedBytes: 7 });
    expect(readdirSync(root)).toHaveLength(2);
    expect(existsSync(used.directory)).toBe(true);
    expect(readdirSync(base)).toEqual(['cache-mounts']);
    expect(readdirSync((await take('idle', 'locked')).directory)).toEqual([]);
  });

  test('is taken with its name as data: no id leads out of the directory', async () => {
    const { root, take } = caches();
    for (const id of ['../../x', '/etc', 'a\0b', '']) {
      expect((await take(id)).directory).toMatch(new RegExp(`^${root}/[0-9a-f]{64}/data$`));
    }
  });
});
