import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { inspect, succeeded, type Workspace, workspace } from '../support/workspace.ts';
import { type DeterministicBuild, deterministicBuilds, SOURCE_DATE_EPOCH } from './deterministic-builds.ts';

const REGISTRY = inject('registry');
const env = { SOURCE_DATE_EPOCH };

interface Bytes {
  readonly manifest: string;
  readonly layers: readonly string[];
}

async function bytesOf(space: Workspace, name: string): Promise<Bytes> {
  const { Digest, RootFS } = await inspect(space, name);
  return { manifest: Digest, layers: RootFS.Layers };
}

/** How the image was come by -> what it is. */
type Findings = Record<string, Bytes>;

interface Found {
  readonly built: Findings;
  readonly pulled: Findings;
}

/** As it is in the registry and in a store that took it from there: with compressed layers, hence another manifest. */
async function pulledBack(space: Workspace, name: string): Promise<Bytes> {
  const pushed = succeeded(await space.tsbuild(['push', '-q', 'same', name])).stdout.trim();
  const empty = workspace(space.person);
  succeeded(await empty.tsbuild(['pull', '-q', name]));
  const bytes = await bytesOf(empty, name);
  expect(bytes.manifest).toBe(pushed);
  return bytes;
}

async function findings(store: Workspace, build: DeterministicBuild, remote: string): Promise<Found> {
  const { person } = store;
  const space = workspace(person, { containerfile: build.text, files: build.files ?? {}, store: store.store });
  build.prepare?.(space.context);
  const ways: Readonly<Record<string, readonly string[]>> = {
    cold: ['--jobs', '8'],
    cached: [],
    'one job': ['--no-cache', '--jobs', '1'],
  };
  const built: Findings = {};
  for (const [way, args] of Object.entries(ways)) {
    const { stderr } = await space.build(['-t', 'same', ...args], { env });
    expect(stderr).toContain(way === 'cached' ? ', all cached, ' : ', none cached, ');
    built[`${person.name}, ${way}`] = await bytesOf(space, 'same');
  }
  return { built, pulled: { [`${person.name}, pulled back`]: await pulledBack(space, remote) } };
}

function expectSame(found: Findings): void {
  const [first] = Object.values(found);
  for (const [way, bytes] of Object.entries(found)) expect({ way, ...bytes }).toEqual({ way, ...first });
}

describe.runIf(hasBase())('the bytes of an image', () => {
  const stores = people().map((person) => workspace(person));

  it.each(deterministicBuilds(inject('base')).map((build, index) => ({ ...build, index })))(
    'are the same for whoever builds, cold, cached, with any number of jobs (8.5 #123): $name',
    async (build) => {
      const built: Findings = {};
      const pulled: Findings = {};
      for (const [i, store] of stores.entries()) {
        const found = await findings(store, build, `${REGISTRY}/same/build-${build.index}:by-${i}`);
        Object.assign(built, found.built);
        Object.assign(pulled, found.pulled);
      }
      expectSame(built);
      expectSame(pulled);
      expect(Object.values(pulled)[0]?.layers).toEqual(Object.values(built)[0]?.layers);
    },
  );
});
