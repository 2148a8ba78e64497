import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, it } from 'vitest';
import { Random } from '../parser/random-inputs.ts';
import { hasBase, people } from '../support/person.ts';
import { inspect, succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');

/** `CRASH_RUNS=300 npx vitest run test/e2e/crash.test.ts` is the long campaign; CRASH_SEED gives other moments. */
const RUNS = Number(process.env.CRASH_RUNS ?? 6);
const SEED = Number(process.env.CRASH_SEED ?? 1);
const TIMEOUT_MS = 60_000 + RUNS * 10_000;
const EPOCH = { env: { SOURCE_DATE_EPOCH: '1700000000' } };

const CONTAINERFILE = `FROM ${BASE} AS one
RUN --mount=type=cache,target=/c dd if=/dev/zero bs=64k count=20 of=/c/x 2>/dev/null; mkdir /d && seq 20000 >/d/n
FROM ${BASE}
COPY many /many
COPY --from=one /d /d
RUN ln /d/n /d/m; rm /many/7; touch -d @1600000000 /d /many /d/n
`;

/** Which command dies, in the order of a day. */
const COMMANDS: readonly (readonly string[])[] = [
  ['build', '-t', 'app'],
  ['build', '-t', 'app', '--no-cache'],
  ['build', '-t', 'app', '--no-cache', '--jobs', '1', '-o', 'type=oci,dest=out.tar'],
  ['prune', '-af'],
  ['pull', BASE],
];

describe.runIf(hasBase()).each(people())('kill -9 at any moment, by $name', (person) => {
  it('leaves a store that every command after it can use', { timeout: TIMEOUT_MS }, async () => {
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`many/${i}`, `text ${i}\n`.repeat(i)]));
    const space = workspace(person, { containerfile: CONTAINERFILE, files: many });
    const calm = workspace(person, { containerfile: CONTAINERFILE, files: many });
    const random = new Random(SEED);
    const start = performance.now();
    await calm.build(['-t', 'app'], EPOCH);
    const wholeMs = performance.now() - start;
    const { Digest: expected } = await inspect(calm, 'app');
    for (let run = 0; run < RUNS; run++) {
      const command = random.pick(COMMANDS);
      const afterMs = random.below(Math.ceil(wholeMs));
      await crash(space, command, { afterMs, isWholeGroup: random.below(2) === 0 });
      const label = `run ${run}: ${command.join(' ')} after ${afterMs} ms`;
      expect((await space.tsbuild(['images'])).status, label).toBe(0);
      const verified = await space.tsbuild(['store', 'verify']);
      expect(verified.stdout + verified.stderr, label).toContain('all is well');
      if (run % 3 === 0) expect((await space.tsbuild(['prune', '-f'])).status, label).toBe(0);
    }
    await space.build(['-t', 'app'], EPOCH);
    expect((await inspect(space, 'app')).Digest).toBe(expected);
    succeeded(await space.tsbuild(['prune', '-f']));
    for (const name of ['active', 'ingest']) expect(readdirSync(join(space.store, name))).toEqual([]);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(space.store);
  });
});

interface Crash {
  readonly afterMs: number;
  /** With the process inside the namespace and the steps; else these have to notice. */
  readonly isWholeGroup: boolean;
}

async function crash(space: Workspace, command: readonly string[], { afterMs, isWholeGroup }: Crash): Promise<void> {
  const context = command[0] === 'build' ? [space.context] : [];
  const child = space.person.start(['--root', space.store, ...command, ...context], EPOCH);
  for (const stream of [child.stdout, child.stderr]) stream?.resume();
  const ended = once(child, 'exit');
  await Promise.race([sleep(afterMs), ended]);
  if (child.pid !== undefined && child.exitCode === null)
    process.kill(isWholeGroup ? -child.pid : child.pid, 'SIGKILL');
  await ended;
}
