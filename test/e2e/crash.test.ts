import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
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

describe.runIf(hasBase()).each(people())('a power cut, by $name', (person) => {
  const begun = `FROM ${BASE}\nRUN echo one >/one; touch -d @1600000000 /one\nRUN `;

  it('loses no layer of an image that was reported', async () => {
    const space = workspace(person, { containerfile: `${begun} seq 200 | while read i; do echo $i >/many-$i; done` });
    await space.build(['-t', 'app']);
    const metas = layersOf(space).map((layer) => ({ layer, ...JSON.parse(readMeta(layer)) }));
    const isSettled = ({ layer }: { readonly layer: string }): boolean => !existsSync(join(layer, 'boot'));
    expect(metas.filter(({ kind }) => kind === 'frozen').map(isSettled)).toEqual([true, true]);
    cutPower(space);
    const { stderr } = await space.build(['-t', 'app']);
    expect(stderr).toContain('2 steps, all cached');
    expect(succeeded(await space.tsbuild(['store', 'verify'])).stdout).toContain('all is well');
  });

  it('loses what was not reported, and nothing that is left of it is used', async () => {
    const space = workspace(person, { containerfile: `${begun}false` });
    expect((await space.tryBuild()).status).toBe(5);
    cutPower(space);
    space.write({ Containerfile: `${begun}cat /one /etc/passwd` });
    const { stderr } = await space.build(['-t', 'app']);
    expect(stderr).toContain('2 steps, none cached');
    expect(stderr).toContain('one\n');
    expect(stderr).toContain('root:');
    expect(succeeded(await space.tsbuild(['store', 'verify'])).stdout).toContain('all is well');
  });
});

function layersOf({ store }: Workspace): readonly string[] {
  const directories = ['layers', 'layers-recorded'].map((name) => join(store, name)).filter((path) => existsSync(path));
  return directories.flatMap((path) => readdirSync(path).map((name) => join(path, name)));
}

const readMeta = (layer: string): string => readFileSync(join(layer, 'meta.json'), 'utf8');

/** As if the machine had lost what was not on the disk yet, and was started anew. */
function cutPower(space: Workspace): void {
  const unsettled = layersOf(space).filter((layer) => existsSync(join(layer, 'boot')));
  for (const layer of unsettled) for (const name of ['boot', 'meta.json']) writeFileSync(join(layer, name), '');
}

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
