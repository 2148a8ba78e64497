import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ProcessStreams } from '../../../src/executor/sandbox/process-streams.ts';

describe('what a process writes', () => {
  it('is given on after it is known to run, so that a signal in answer to it finds the process', async () => {
    const heard: string[] = [];
    const onOutput = (_: 'stdout' | 'stderr', chunk: Uint8Array): number => heard.push(`${chunk}`);
    const onStarted = (): number => heard.push('started');
    const streams = new ProcessStreams({ onOutput, interaction: { hasInput: false, onStarted } }, undefined);
    writeSync(streams.order.stdout, 'ready');
    await sleep(20);
    expect(heard).toEqual([]);
    streams.started({ pid: 1 }, 1);
    await streams.close();
    expect(heard).toEqual(['started', 'ready']);
  });

  it('is given on at the end where it never ran', async () => {
    const heard: string[] = [];
    const onOutput = (_: 'stdout' | 'stderr', chunk: Uint8Array): number => heard.push(`${chunk}`);
    const interaction = { hasInput: true, onStarted: () => heard.push('started') };
    const streams = new ProcessStreams({ onOutput, interaction }, undefined);
    writeSync(streams.order.stderr, 'why');
    await streams.close();
    expect(heard).toEqual(['why']);
  });
});
