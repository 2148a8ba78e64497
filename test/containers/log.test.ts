import { appendFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LogWriter, readLog } from '../../src/containers/log.ts';
import { tempDir } from '../support/temp-dir.ts';

const { signal } = new AbortController();
const ended = { isEnded: () => Promise.resolve(true), signal };

async function textOf(directory: string, options = ended): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const { bytes } of readLog(directory, options)) chunks.push(bytes);
  return Buffer.concat(chunks);
}

describe('a log', () => {
  it('gives back whatever bytes were written, in their order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 2000 }), { maxLength: 20 }), async (chunks) => {
        const directory = tempDir();
        const log = new LogWriter(directory);
        for (const chunk of chunks) log.append('stdout', chunk);
        log.close();
        expect(await textOf(directory)).toEqual(Buffer.concat(chunks));
      }),
      { numRuns: 20 },
    );
  });

  it('keeps the two streams apart', async () => {
    const directory = tempDir();
    const log = new LogWriter(directory);
    log.append('stdout', Buffer.from('out'));
    log.append('stderr', Buffer.from('err'));
    const streams: string[] = [];
    for await (const { stream } of readLog(directory, ended)) streams.push(stream);
    expect(streams).toEqual(['stdout', 'stderr']);
    log.close();
  });

  it('is bounded, and has the newest output', async () => {
    const directory = tempDir();
    const log = new LogWriter(directory, 10_000);
    for (let i = 0; i < 1000; i++) log.append('stdout', Buffer.from(`line ${i} ${'x'.repeat(100)}\n`));
    log.close();
    const bytes = readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
    expect(bytes).toBeLessThan(21_000);
    const text = (await textOf(directory)).toString();
    expect(text).toContain('line 999 ');
    expect(text.length).toBeGreaterThan(5000);
  });

  it('is followed over its replacement to the end', async () => {
    const directory = tempDir();
    const log = new LogWriter(directory, 2000);
    let written = 0;
    const timer = setInterval(() => {
      for (let i = 0; i < 5 && written < 200; i++) log.append('stdout', Buffer.from(`${written++},`));
    }, 5);
    const isEnded = () => Promise.resolve(written >= 200);
    const text = (await textOf(directory, { isEnded, signal })).toString();
    clearInterval(timer);
    log.close();
    expect(text.endsWith('198,199,')).toBe(true);
  });

  it('says nothing of a line that a full disk cut off', async () => {
    const directory = tempDir();
    const log = new LogWriter(directory);
    log.append('stdout', Buffer.from('whole'));
    log.close();
    appendFileSync(join(directory, 'log'), '{"stream":"stdout","ti\n{"lost":12}\n');
    expect((await textOf(directory)).toString()).toBe('whole[tsbuild: 12 bytes of output could not be kept]\n');
  });

  it('of a container that wrote nothing is empty', async () => {
    expect(await textOf(tempDir())).toHaveLength(0);
  });
});
