import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { inspect, succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');

const filesIn = (directory: string): string[] => readdirSync(directory).map((name) => join(directory, name));

/** Writes over files that are not to be written to: tests run as root, or the file is one's own. */
function overwrite(path: string, bytes: Buffer | string): void {
  execFileSync('sh', ['-c', 'cat > "$1.new" && chmod 644 "$1.new" && mv "$1.new" "$1"', 'sh', path], { input: bytes });
}

describe.runIf(hasBase()).each(people())('the state directory of $name', (person) => {
  const project = async (): Promise<Workspace> => {
    const space = workspace(person, {
      containerfile: `FROM ${BASE}\nCOPY f /f\nRUN mkdir /d && echo x >/d/x && ln /d/x /d/y\nRUN rm /d/x; chown 5:6 /d\n`,
      files: { f: 'text' },
    });
    await space.build(['-t', 'app'], { env: { SOURCE_DATE_EPOCH: '1700000000' } });
    return space;
  };
  const verify = (space: Workspace, ...args: string[]) => space.tsbuild(['store', 'verify', ...args]);

  it('is found whole after a build, and says what it holds', async () => {
    const space = await project();
    const { stdout } = succeeded(await verify(space));
    expect(stdout).toMatch(/^\d+ blobs, \d+ layers, \d+ records and 2 images checked: all is well\n$/);
    const df = succeeded(await space.tsbuild(['store', 'df']));
    expect(df.stdout).toMatch(/cached steps +3 /);
    expect(df.stdout).toMatch(/image names +2 /);
    expect(df.stdout).toMatch(/"tsbuild prune" would free 0 B/);
  });

  it.each([32, 36])('survives a limit of %i open files, and the error says the limit', async (limit) => {
    const space = await project();
    const words = [process.execPath, inject('installed'), '--root', space.store, 'build', '--no-cache', space.context];
    const outcome = await person.run(['sh', '-c', `ulimit -n ${limit}; exec "$@"`, 'sh', ...words]);
    expect(outcome.stderr).not.toMatch(/^ {4}at /m);
    if (outcome.status !== 0) expect(outcome.stderr).toMatch(/^next: .*"ulimit -n 4096"|they ended at once$/m);
    succeeded(await verify(space));
    succeeded(await space.build(['-t', 'app']));
  });

  it('shows every kind of damage, is repaired, and the next build gives the same image', async () => {
    const space = await project();
    const { Digest: before } = await inspect(space, 'app');
    const damage = (kind: string, change: (bytes: Buffer) => Buffer | string) => {
      const [path = ''] = filesIn(join(space.store, kind)).sort((a, b) => statSync(a).size - statSync(b).size);
      overwrite(path, change(readFileSync(path)));
    };
    for (const kind of ['cache', 'slots', 'layer-index', 'images']) damage(kind, () => '{');
    damage('tar-index', (bytes) => bytes.subarray(0, bytes.length - 1));
    damage('blobs/sha256', (bytes) => Buffer.concat([bytes, Buffer.from(' ')]));
    writeFileSync(join(space.store, 'tags', 'stray.json'), '[]');
    const found = await verify(space);
    expect(found.status).toBe(9);
    for (const kind of [
      'blob sha256',
      'record of a step',
      'record of a layer',
      'record of an image',
      'record of a name',
      'table of contents',
    ])
      expect(found.stdout).toContain(`damaged: ${kind}`);
    expect(found.stderr).toContain('tsbuild store verify --repair');
    const repaired = await verify(space, '--repair');
    expect(repaired.stdout).toContain('repaired: blob sha256');
    await space.build(['-t', 'app'], { env: { SOURCE_DATE_EPOCH: '1700000000' } });
    expect((await inspect(space, 'app')).Digest).toBe(before);
    expect(succeeded(await verify(space)).stdout).toContain('all is well');
  });

  it('shows a file that was changed in an unpacked layer', async () => {
    const space = await project();
    const layers = filesIn(join(space.store, 'layers'));
    // as the namespace's root, who may write there
    const script = 'for f in "$@"; do [ ! -f "$f/fs/d/y" ] || echo other > "$f/fs/d/y"; done';
    if (person.isRoot) execFileSync('sh', ['-c', script, 'sh', ...layers]);
    else await inNamespace(space, script, layers);
    const found = await verify(space);
    expect(found.stdout).toMatch(/^damaged: unpacked layer sha256:\w+: its files are not those of the layer$/m);
    await verify(space, '--repair');
    await space.build(['-t', 'app']);
    expect(succeeded(await verify(space)).stdout).toContain('all is well');
  });

  it('is pruned down to what fits, longest unused first, and to what was used of late', async () => {
    const space = await project();
    space.write({ Containerfile: `FROM ${BASE}\nRUN dd if=/dev/zero bs=1M count=3 of=/big\n` });
    await space.build(['-t', 'other']);
    succeeded(await space.tsbuild(['rmi', 'other']));
    const count = async (): Promise<number> => {
      const { stdout } = succeeded(await space.tsbuild(['store', 'df', '--json']));
      const { lines }: { lines: { what: string; count: number }[] } = JSON.parse(stdout);
      return lines.find(({ what }) => what === 'cached steps')?.count ?? 0;
    };
    succeeded(await space.tsbuild(['prune', '-f', '--keep-storage', '1g', '--filter', 'until=1h']));
    expect(await count()).toBe(4);
    succeeded(await space.tsbuild(['prune', '-f', '--keep-storage', '3m']));
    expect(await count()).toBe(3);
    space.write({ Containerfile: `FROM ${BASE}\nRUN echo new >/new\n` });
    await space.build(['-t', 'next', '--keep-storage', '1m']);
    expect(await count()).toBe(4);
    succeeded(await space.tsbuild(['rmi', 'next']));
    space.write({ Containerfile: `FROM ${BASE}\nRUN echo newer >/new\n` });
    await space.build(['-t', 'next', '--keep-storage', '1m']);
    expect(await count()).toBe(4);
    const bad = await space.tsbuild(['prune', '-f', '--filter', 'until=yesterday']);
    expect(bad).toMatchObject({ status: 2 });
    expect(bad.stderr).toContain('e.g. 90s, 1h30m or 7d');
    succeeded(await space.tsbuild(['prune', '-f', '--filter', 'until=1ms']));
    expect(await count()).toBe(0);
    expect(succeeded(await verify(space)).stdout).toContain('all is well');
  });
});

/** Runs a script as a step of a build that sees the state directory. */
async function inNamespace(space: Workspace, script: string, paths: readonly string[]): Promise<void> {
  const inner = paths.map((path) => path.replace(space.store, '/state'));
  const run = ['sh', '-c', script, 'sh', ...inner].map((word) => JSON.stringify(word)).join(',');
  space.write({ 'Containerfile.change': `FROM ${BASE}\nRUN [${run}]\n` });
  await space.build([
    '-f',
    join(space.context, 'Containerfile.change'),
    '--no-cache',
    '-v',
    `${space.store}:/state`,
    '-t',
    'change',
  ]);
}
