import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DirectorySnapshotter,
  decodeTar,
  LayerDirectories,
  LayerWorkers,
  OverlaySnapshotter,
  type Snapshotter,
} from '../../src/layers/index.ts';
import type { Layer } from '../../src/oci/index.ts';
import { runIn } from '../contract/snapshotter.ts';
import { requires } from '../support/requires.ts';
import { buildWorker, MemoryIndex, scratch, tarLayer } from './support.ts';

/** What a step does -> why the two could differ. */
const SCRIPTS: Readonly<Record<string, string>> = {
  'moves a directory of the base': 'mv lib lib2',
  'swaps two directories of the base': 'mv lib t; mv etc lib; mv t etc',
  'moves a directory into another': 'mv lib etc/lib',
  'removes a directory and makes it again': 'rm -r lib; mkdir lib',
  'makes a directory again with a name that it had': 'rm -r lib; mkdir -p lib/sub; echo n > lib/a',
  'makes a directory again below one that stays': 'rm -r lib/sub; mkdir lib/sub; echo n > lib/sub/new',
  'puts a file where a directory was': 'rm -r lib; echo f > lib',
  'puts a directory where a file was': 'rm etc/one; mkdir etc/one; echo f > etc/one/f',
  'puts a link where a directory was': 'mv lib lib2; ln -s lib2 lib',
  'changes one name of a hard link of the base': 'echo more >> links/a',
  'changes the mode of one name of a hard link': 'chmod 600 links/a',
  'removes one name of a hard link of the base': 'rm links/a',
  'links a file of the base': 'ln etc/one etc/two',
  'links a hard link of the base': 'ln links/a links/c',
  'makes hard links': 'echo x > x; ln x y; ln y lib/z',
  'removes a file': 'rm etc/one',
  'removes a file and makes it again': 'rm etc/one; echo one > etc/one',
  'makes a file and removes it': 'touch -d @1700000000 etc; : > etc/x; rm etc/x',
  'opens files for writing and changes nothing': ': >> etc/one; exec 3<>lib/sub/b; : >> links/a',
  'opens one file of two that it changes': ': >> lib/a; echo n >> lib/sub/b',
  'opens a file and makes one beside it': ': >> etc/one; echo n > etc/new',
  'makes a file again in a directory that hides it':
    'cp -p lib/a /tmp/same-layer-a; rm -r lib; mkdir lib; cp -p /tmp/same-layer-a lib/a',
  'changes nothing': 'cat etc/one >/dev/null; ls lib',
  'sets the mode that was there': 'chmod 644 etc/one; chmod 755 lib',
  'sets a time': 'touch -d @1000000001 etc/one lib',
  'sets an attribute': 'setfattr -n user.a -v b etc/one; setcap cap_net_raw+ep lib/a',
  'makes devices': 'mknod n c 1 3; mknod b b 7 0; mkfifo f',
  'changes owners': 'chown 1000:65534 etc/one; chown -h 7:8 link; chown 65534 lib',
  'makes sockets, links and long names': `ln -s /x l; touch ${'n'.repeat(255)}; mkdir -p ${'d/'.repeat(60)}`,
  'moves a file over another': 'echo n > t; mv t etc/one; mv lib/a lib/sub/b',
  'moves a new directory': 'mkdir -p n/m; echo x > n/m/x; mv n lib/n',
  'empties a directory': 'rm -r lib/*',
};

const has = requires('root, for overlay mounts', process.getuid?.() === 0);

describe.runIf(has)('the layer of a step that', () => {
  const workers = new LayerWorkers();
  const homes = [scratch(), scratch()] as const;
  const make = [OverlaySnapshotter, DirectorySnapshotter] as const;
  const benches = make.map((Snapshots, i) => {
    const directories = new LayerDirectories(homes[i === 0 ? 0 : 1].path, workers);
    const index = new MemoryIndex();
    return { directories, snapshotter: new Snapshots(directories, index) as Snapshotter };
  });
  beforeAll(buildWorker);
  afterAll(() => {
    for (const home of homes) home.remove();
  });

  const base: readonly Layer[] = [
    tarLayer([
      { path: 'etc/', type: 'directory', mtime: 1_500_000_000 },
      { path: 'etc/one', body: 'one', mtime: 1_500_000_000 },
      { path: 'lib/', type: 'directory', mtime: 1_500_000_000 },
      { path: 'lib/a', body: 'a' },
      { path: 'lib/sub/', type: 'directory' },
      { path: 'lib/sub/b', body: 'b' },
      { path: 'links/', type: 'directory' },
      { path: 'links/a', body: 'linked' },
      { path: 'links/b', type: 'hardlink', linkname: 'links/a' },
      { path: 'link', type: 'symlink', linkname: 'etc' },
    ]),
    tarLayer([{ path: 'lib/above', body: 'x' }]),
  ];

  it.each(Object.entries(SCRIPTS))('%s is the same from a copy as from an overlay', async (_, script) => {
    const found = [];
    for (const { snapshotter, directories } of benches) {
      await using active = await snapshotter.prepare(base);
      runIn(active.mount, script);
      const { diffId } = await active.commit({ exclude: [], mtimeRule: { seconds: 1_600_000_000, applies: 'later' } });
      const members: string[] = [];
      for await (const { entry } of decodeTar(workers.stream({ kind: 'tar', layer: directories.pathOf(diffId) }))) {
        const { path: name, type, mode, uid, gid } = entry;
        members.push(
          `${name} ${type} ${mode.toString(8)} ${uid}:${gid} ${entry.type === 'hardlink' ? entry.linkname : ''}`,
        );
      }
      found.push({ diffId, members });
    }
    expect(found[1]?.members).toEqual(found[0]?.members);
    expect(found[1]).toEqual(found[0]);
  });
});
