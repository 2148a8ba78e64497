import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { inspect, succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');
const FIXED = { env: { SOURCE_DATE_EPOCH: '1700000000' } };

/** Until files that were written now are remembered. */
const settle = () => sleep(400);

interface PatchedLayer {
  readonly base: string;
  readonly pieces: string;
}

/** Layers of which the store keeps only what is new in them. */
function patchedLayers({ store }: Workspace): readonly PatchedLayer[] {
  const directory = join(store, 'layer-index');
  const records = readdirSync(directory).filter((name) => name.endsWith('.json'));
  return records.flatMap((name) => {
    const { patch } = JSON.parse(readFileSync(join(directory, name), 'utf8'));
    return patch ? { base: patch.base.digest.slice(7), pieces: patch.pieces.digest.slice(7) } : [];
  });
}

describe.runIf(hasBase()).each(people())('a COPY of which a file was edited, by $name', (person) => {
  /** Built twice: of the second layer only the new file is in the store. */
  const project = async (more = ''): Promise<Workspace> => {
    const files = Object.fromEntries(
      Array.from({ length: 300 }, (_, n) => [`src/d${n % 7}/f${n}`, `${n}\n`.repeat(n * 10)]),
    );
    const space = workspace(person, { containerfile: `FROM ${BASE}\nCOPY src /src\n${more}`, files });
    await settle();
    await space.build(['-t', 'before'], FIXED);
    writeFileSync(join(space.context, 'src/d3/f3'), 'edited\n');
    await space.build(['-t', 'app'], FIXED);
    expect(patchedLayers(space)).toHaveLength(1);
    return space;
  };
  const fresh = async (space: Workspace): Promise<string> => {
    const other = { ...workspace(person, { containerfile: '', files: {} }), context: space.context };
    await other.tsbuild(['build', '--tls-verify=false', '-q', '-t', 'app', space.context], FIXED);
    return (await inspect(other, 'app')).Digest;
  };
  const text = async (space: Workspace, name = 'app'): Promise<string> =>
    succeeded(await space.tsbuild(['run', '--rm', name, 'cat', '/src/d3/f3', '/src/d4/f4'])).stdout;
  const edited = `edited\n${'4\n'.repeat(40)}`;

  it('is the image that a build without memory makes, and keeps its base while it needs it', async () => {
    const space = await project();
    expect((await inspect(space, 'app')).Digest).toBe(await fresh(space));
    succeeded(await space.tsbuild(['rmi', 'before']));
    for (const options of [['-f'], ['-af']]) succeeded(await space.tsbuild(['prune', ...options]));
    expect(succeeded(await space.tsbuild(['store', 'verify'])).stdout).toContain('all is well');
    expect(await text(space)).toBe(edited);
    const archive = join(space.context, '..', 'app.tar');
    succeeded(await space.tsbuild(['push', 'app', `oci-archive:${archive}:app`]));
    succeeded(await space.tsbuild(['load', '-i', archive]));
    succeeded(await space.tsbuild(['rmi', 'app']));
    succeeded(await space.tsbuild(['prune', '-af']));
  });

  it('is edited again and again, and a RUN sees the last state', async () => {
    const space = await project('RUN cat /src/d3/f3 /src/d5/f5 | head -n 2 >/seen\n');
    for (const state of ['one', 'two', 'three']) {
      writeFileSync(join(space.context, 'src/d5/f5'), `${state}\n`);
      await space.build(['-t', 'app'], FIXED);
      const { stdout } = succeeded(await space.tsbuild(['run', '--rm', 'app', 'cat', '/seen']));
      expect(stdout).toBe(`edited\n${state}\n`);
    }
    expect((await inspect(space, 'app')).Digest).toBe(await fresh(space));
  });

  const damaged = (path: string) => execFileSync('sh', ['-c', 'chmod 644 "$1" && printf x >>"$1"', 'sh', path]);
  it.each([
    ['base', 'damaged', damaged],
    ['base', 'gone', rmSync],
    ['pieces', 'damaged', damaged],
    ['pieces', 'gone', rmSync],
  ] as const)('is made again where the blob of its %s is %s', async (which, _what, damage) => {
    const space = await project();
    const { Digest: before } = await inspect(space, 'app');
    succeeded(await space.tsbuild(['rmi', 'before']));
    const [patch] = patchedLayers(space);
    damage(join(space.store, 'blobs/sha256', patch?.[which] ?? ''));
    const found = await space.tsbuild(['store', 'verify']);
    expect(found.status).toBe(9);
    expect(found.stdout + found.stderr).toContain('localhost/app:latest');
    await space.tsbuild(['store', 'verify', '--repair']);
    await space.build(['-t', 'app'], FIXED);
    expect(await text(space)).toBe(edited);
    expect((await inspect(space, 'app')).Digest).toBe(before);
    expect(succeeded(await space.tsbuild(['store', 'verify'])).stdout).toContain('all is well');
  });
});
