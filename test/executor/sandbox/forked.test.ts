import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { endOf } from '../../../src/executor/sandbox/forked.ts';
import { tempDir } from '../../support/temp-dir.ts';

describe('a forked process', () => {
  it('has ended when all that it said is heard', async () => {
    const program = join(tempDir(), 'child.cjs');
    writeFileSync(
      program,
      'for (let n = 1; n < 500; n++) process.send(n); process.send(500, () => process.disconnect());',
    );
    const child = fork(program, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    const heard: unknown[] = [];
    child.on('message', (message) => heard.push(message));
    await endOf(child);
    expect(heard).toHaveLength(500);
    expect(child.exitCode).toBe(0);
  });

  it('has ended when it is killed', async () => {
    const program = join(tempDir(), 'child.cjs');
    writeFileSync(program, 'process.on("message", () => {}); process.send("ready");');
    const child = fork(program, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    const ended = endOf(child);
    child.once('message', () => child.kill('SIGKILL'));
    await ended;
    expect(child.signalCode).toBe('SIGKILL');
  });
});
