import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');

/** A stage whose layers differ each time, and one that takes a file out of it. */
const TWO_STAGES = `FROM ${BASE} AS build
COPY src /src
RUN cat /src/* > /out && cat /proc/sys/kernel/random/uuid > /log
FROM ${BASE}
COPY --from=build /out /out
RUN wc -c /out
`;
const FILES = { 'src/a': 'a\n', 'src/b': 'b\n' };

const waitFor = async (condition: () => boolean): Promise<void> => {
  for (let i = 0; i < 400 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 25));
  expect(condition()).toBe(true);
};

/** Step -> what was said of it last but for its end. */
function told(stderr: string): Record<string, string> {
  const lines = stderr.split('\n').flatMap((line) => /^#(\d+) (cached.*|not cached.*|done)/.exec(line)?.slice(1) ?? []);
  const found: Record<string, string> = {};
  for (let i = 0; i < lines.length; i += 2) if (lines[i + 1] !== 'done') found[lines[i] ?? ''] = lines[i + 1] ?? '';
  return found;
}

interface Event {
  readonly type: string;
  readonly [member: string]: unknown;
}

async function eventsOf(space: Workspace, args: readonly string[] = []): Promise<readonly Event[]> {
  const { stderr } = await space.build(['--progress', 'json', ...args]);
  return stderr
    .trimEnd()
    .split('\n')
    .map((line): Event => JSON.parse(line));
}

describe.runIf(hasBase()).each(people())('the cache of a build by $name', (person) => {
  const twoStages = () => workspace(person, { containerfile: TWO_STAGES, files: FILES });

  it('still has what was copied from a stage that was built again with the same files, and says so', async () => {
    const space = twoStages();
    await space.build();
    const again = await space.build(['--no-cache-filter', 'BUILD', '--explain-cache']);
    expect(told(again.stderr)).toEqual({
      '1': 'not cached: --no-cache-filter was given',
      '2': 'not cached: --no-cache-filter was given',
      '3': expect.stringMatching(/^cached: other layers are below, but the files that it copies are the same \(made 2/),
      '4': expect.stringMatching(/^cached: nothing that it is given has changed \(made 2/),
    });
    // what hit by its content is found by its layers from then on
    expect((await space.build()).stderr).toContain(', all cached, ');
    space.write({ 'src/c': 'c\n' });
    expect(told((await space.build()).stderr)).toEqual({
      '1': 'not cached: 1 file changed (src/c added)',
      '2': 'not cached: the step before it has another result',
      '3': 'not cached: 1 file changed (out content)',
      '4': 'not cached: the step before it has another result',
    });
  });

  it('is left out for single stages, by name or number, and for what is old', async () => {
    const space = twoStages();
    await space.build();
    expect((await space.build(['--no-cache-filter', '1'])).stderr).toContain(': 4 steps, 2 cached,');
    expect((await space.build(['--no-cache-filter', 'build,1'])).stderr).toContain(': 4 steps, none cached,');
    expect(await space.tryBuild(['--no-cache-filter', 'bild'])).toMatchObject({
      status: 3,
      stderr: expect.stringMatching(/no-cache-filter "bild".*\n.*Did you mean "build"\?/),
    });
    expect((await space.build(['--cache-ttl', '1h'])).stderr).toContain(', all cached, ');
    const old = await space.build(['--cache-ttl', '0']);
    expect(old.stderr).toMatch(/^#1 not cached: its result of 2\S+Z is older than --cache-ttl allows$/m);
    expect(old.stderr).toContain(', none cached, ');
  });

  it('names in its events what differs, down to the file', async () => {
    const space = twoStages();
    const first = await eventsOf(space);
    expect(first.filter(({ type }) => type === 'step.miss').map(({ component }) => component)).toEqual(
      Array.from({ length: 4 }, () => 'new'),
    );
    space.write({ 'src/a': 'A\n', 'src/c': '', Containerfile: TWO_STAGES.replace('wc -c', 'wc -l') });
    const misses = (await eventsOf(space)).filter(({ type }) => type === 'step.miss');
    expect(misses.map(({ component }) => component)).toEqual(['sources', 'parent', 'sources', 'command']);
    expect(misses[0]?.files).toEqual([
      { path: 'src/a', change: 'content' },
      { path: 'src/c', change: 'added' },
    ]);
  });

  it('lets a step run once where two builds want it, also when the first is killed', async () => {
    const text = (n: number) =>
      `FROM ${BASE}\nRUN echo ${n} && sleep 1.5 && cat /proc/sys/kernel/random/uuid > /made\n`;
    const space = workspace(person, { containerfile: text(1) });
    await space.build(['-f', '-'], { input: `FROM ${BASE}\nRUN true\n` }); // the base is there
    const both = await Promise.all([space.build(['-q']), space.build(['-q'])]);
    expect(both[0]?.stdout).toBe(both[1]?.stdout);

    space.write({ Containerfile: text(2) });
    const first = person.start(['--root', space.store, 'build', space.context]);
    let output = '';
    first.stderr?.on('data', (chunk) => {
      output += chunk;
    });
    await waitFor(() => output.includes('| 2'));
    const second = space.build();
    await new Promise((resolve) => setTimeout(resolve, 300));
    process.kill(-(first.pid ?? Number.NaN), 'SIGKILL');
    expect((await second).stderr).toContain(': 1 step, none cached,');
  });
});
