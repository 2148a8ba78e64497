import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CommitOptions, CommittedLayer } from '../../src/layers/index.ts';
import {
  LayerDirectories as Directories,
  decodeTar,
  type LayerDirectories,
  LayerWorkers,
  type Mount,
  type Snapshotter,
} from '../../src/layers/index.ts';
import type { Layer, LayerIndex } from '../../src/oci/index.ts';
import { asDigest, OCI_LAYER } from '../../src/oci/index.ts';
import { buildWorker, MemoryIndex, scratch, type TestEntry, tarLayer } from '../layers/support.ts';

export type MakeSnapshotter = (directories: LayerDirectories, index: LayerIndex) => Snapshotter;

/** Short relative names in `links`: of 500 layers, the paths would not fit into the page that mount(2) takes. */
function linkAll({ lower = [], upper, work }: Mount, links: string): string {
  const link = (target: string, name: string): string => {
    symlinkSync(target, join(links, name));
    return name;
  };
  const layers = `lowerdir=${lower.map((path, index) => link(path, index.toString(36))).join(':')}`;
  if (upper === undefined || work === undefined) return layers;
  return `${layers},upperdir=${link(upper, 'upper')},workdir=${link(work, 'work')}`;
}

/** Runs a shell script in a mounted root: cwd is the root, `$1` too. Returns what it printed. */
export function runIn(mount: Mount, script: string): string {
  const root = mkdtempSync(join(tmpdir(), 'tsbuild-root-'));
  const links = mkdtempSync(join(tmpdir(), 'tsbuild-links-'));
  const mounting =
    mount.type === 'overlay'
      ? `cd ${links} && mount -t overlay overlay -o '${linkAll(mount, links)},userxattr' ${root}`
      : `mount --bind '${mount.source}' ${root}`;
  const readOnly = mount.readOnly ? ` && mount -o remount,bind,ro ${root}` : '';
  const all = `set -e; ${mounting}${readOnly}; cd ${root}; umask 022; ${script}`;
  try {
    return execFileSync('unshare', ['-m', 'sh', '-c', all], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } finally {
    rmSync(root, { recursive: true });
    rmSync(links, { recursive: true });
  }
}

interface Bench {
  readonly snapshotter: Snapshotter;
  readonly directories: LayerDirectories;
  readonly index: MemoryIndex;
}

/** Every snapshotter must pass it. Needs root and overlay mounts. */
export function snapshotterContract(name: string, make: MakeSnapshotter): void {
  describe(`${name} snapshotter`, () => {
    const home = scratch();
    const workers = new LayerWorkers();
    const directories = new Directories(home.path, workers);
    const index = new MemoryIndex();
    const bench: Bench = { directories, index, snapshotter: make(directories, index) };
    beforeAll(buildWorker);
    afterAll(home.remove);

    /** Runs a script on a chain and gives the layer that it leaves, with the members of its tar. */
    async function step(chain: readonly Layer[], script: string, options: CommitOptions = { exclude: [] }) {
      await using active = await bench.snapshotter.prepare(chain);
      runIn(active.mount, script);
      const committed = await active.commit(options);
      const layer = frozenLayer(bench, committed);
      return { committed, layer, names: await namesOf(layer) };
    }

    async function see(chain: readonly Layer[], script: string): Promise<string> {
      await using view = await bench.snapshotter.view(chain);
      return runIn(view.mount, script);
    }

    const base = tarLayer([
      { path: 'bin/', mode: 0o755 },
      { path: 'bin/tool', mode: 0o4755, body: 'tool' },
      { path: 'etc/', mode: 0o755, mtime: 1_500_000_000 },
      { path: 'etc/passwd', body: 'root' },
      { path: 'etc/group', body: 'group' },
      { path: 'tmp/', mode: 0o1777 },
      { path: 'var/', mode: 0o755 },
      { path: 'var/lib/', mode: 0o750, uid: 7, gid: 8 },
      { path: 'var/lib/data', body: 'data', uid: 3_000_000, gid: 3_000_001 },
      { path: 'link', type: 'symlink', linkname: 'etc/passwd' },
      { path: 'again', type: 'hardlink', linkname: 'etc/passwd' },
    ]);

    it('gives an empty layer when nothing changed', async () => {
      const { committed, names } = await step([base], 'true');
      expect(committed).toMatchObject({ isEmpty: true, sizeBytes: 1024 });
      expect(names).toEqual([]);
    });

    it('starts from nothing', async () => {
      const { names, layer } = await step([], 'mkdir a; echo hi > a/f');
      expect(names).toEqual(['a/', 'a/f']);
      expect(await see([layer], 'cat a/f; stat -c %a .')).toBe('hi\n755\n');
    });

    it('shows the chain with its modes, owners and links', async () => {
      const text = await see(
        [base],
        'stat -c "%n %a %u %g" bin/tool tmp var/lib var/lib/data; readlink link; stat -c %h again',
      );
      expect(text).toBe(
        'bin/tool 4755 0 0\ntmp 1777 0 0\nvar/lib 750 7 8\nvar/lib/data 644 3000000 3000001\netc/passwd\n2\n',
      );
    });

    it('records a changed file with the directories above it and nothing else', async () => {
      const { names, layer } = await step([base], 'echo x >> var/lib/data');
      expect(names).toEqual(['var/', 'var/lib/', 'var/lib/data']);
      expect(await see([base, layer], 'cat var/lib/data; stat -c "%a %u" var/lib; cat etc/group')).toBe(
        'datax\n750 7\ngroup',
      );
    });

    it('records a deletion as a whiteout', async () => {
      const { names, layer } = await step([base], 'rm etc/group');
      expect(names).toEqual(['etc/', 'etc/.wh.group']);
      expect(await see([base, layer], 'ls etc')).toBe('passwd\n');
    });

    it('hides the old content of a directory that was made anew', async () => {
      const { layer } = await step([base], 'rm -r var/lib; mkdir var/lib; echo new > var/lib/new');
      expect(await see([base, layer], 'ls var/lib')).toBe('new\n');
      const { layer: again } = await step([base, layer], 'echo 2 > var/lib/data');
      expect(await see([base, layer, again], 'ls var/lib')).toBe('data\nnew\n');
    });

    it('swaps files, directories and links for each other', async () => {
      const script =
        'rm link; mkdir link; echo in > link/f; rm -r bin; echo file > bin; rm etc/group; ln -s passwd etc/group';
      const { layer } = await step([base], script);
      expect(await see([base, layer], 'cat link/f bin; readlink etc/group')).toBe('in\nfile\npasswd\n');
    });

    it('writes no whiteout for what never was below', async () => {
      const { names } = await step([base], 'mkdir -p n/m; echo x > n/f; rm n/f; echo y > etc/y; rm etc/y');
      expect(names.filter((path) => path.includes('.wh.'))).toEqual([]);
      expect(names).toContain('n/m/');
    });

    it('brings back what an earlier layer deleted', async () => {
      const { layer: gone } = await step([base], 'rm -r var');
      expect(await see([base, gone], 'ls')).not.toContain('var');
      const { layer: back } = await step([base, gone], 'mkdir var; echo x > var/x');
      expect(await see([base, gone, back], 'ls var')).toBe('x\n');
    });

    it('leaves out mount stubs and the directories that changed for their sake only', async () => {
      const script =
        'mkdir proc sys; echo s > etc/resolv.conf; mkdir -p var/lib/deep; : > var/lib/deep/stub; mkdir -p run/s; : > run/s/k';
      const exclude = ['/proc', '/sys', '/etc/resolv.conf', '/var/lib/deep', '/run'];
      const { committed, names } = await step([base], script, { exclude });
      expect(names).toEqual([]);
      expect(committed.isEmpty).toBe(true);
    });

    it('keeps changes that lie beside a stub, and the time of a directory that only had the stub', async () => {
      const script = 'echo s > etc/resolv.conf; echo a > var/lib/a; : > var/stub';
      const { names, layer } = await step([base], script, { exclude: ['/etc/resolv.conf', '/var/stub'] });
      expect(names).toEqual(['var/', 'var/lib/', 'var/lib/a']);
      expect(await see([base, layer], 'stat -c "%n %Y" var etc')).toBe('var 1600000000\netc 1500000000\n');
    });

    it('refuses a file that is really named like a whiteout, and names it', async () => {
      await expect(step([base], 'echo x > etc/.wh.passwd')).rejects.toMatchObject({
        code: 'E_BAD_LAYER',
        message: expect.stringContaining('/etc/.wh.passwd'),
      });
    });

    it('refuses a name that is not UTF-8 instead of changing it', async () => {
      await expect(step([base], 'echo x > "$(printf "etc/a\\377")"')).rejects.toMatchObject({
        code: 'E_BAD_LAYER',
        message: expect.stringContaining('a\\xff'),
      });
    });

    it('lowers later times to the clamp', async () => {
      const { layer } = await step([base], 'echo x > f; mkdir d; ln -s f l', {
        exclude: [],
        mtimeRule: { seconds: 1_000_000_000, applies: 'later' },
      });
      expect(await see([base, layer], 'stat -c %Y f d l etc')).toBe('1000000000\n1000000000\n1000000000\n1500000000\n');
    });

    it('gives the same layer for the same changes', async () => {
      const script =
        'for i in 3 1 2; do echo $i > etc/$i; done; ln etc/1 etc/0; rm etc/group; touch -d @1600000001 etc etc/*';
      const first = await step([base], script);
      const second = await step([base], script);
      expect(second.committed).toEqual(first.committed);
      expect(first.names).toContain('etc/0');
    });

    it('keeps hard links, fifos, attributes and capabilities', async () => {
      const script = [
        'echo x > f; ln f g; mkfifo p; setcap cap_net_raw+ep f',
        `setfattr -n user.bin -v 0x00ff0a3d f; setfattr -n user.dir -v yes etc`,
      ].join('; ');
      const { layer } = await step([base], script);
      const look = 'stat -c %h f; stat -c %F p; getcap f; getfattr --absolute-names -d -e hex f etc';
      const shown = await see([base, layer], look);
      expect(shown).toContain('2\nfifo\nf cap_net_raw=ep\n');
      expect(shown).toContain('user.bin=0x00ff0a3d');
      expect(shown).toContain('user.dir=0x796573');
    });

    it('shows the real attributes of directories that a layer leaves out', async () => {
      const layer = tarLayer([
        { path: 'tmp/x', body: 'x' },
        { path: 'var/lib/y', body: 'y' },
        { path: 'opt/z', body: 'z' },
      ]);
      const look = 'stat -c "%n %a %u %Y" tmp var/lib opt; cat tmp/x var/lib/y var/lib/data';
      expect(await see([base, layer], look)).toBe(
        'tmp 1777 0 1600000000\nvar/lib 750 7 1600000000\nopt 755 0 0\nxydata',
      );
      const { names } = await step([base, layer], 'echo n > tmp/n');
      expect(names).toEqual(['tmp/', 'tmp/n']);
    });

    it('does not bring a deleted directory back for the sake of its attributes', async () => {
      const layer = tarLayer([{ path: 'tmp/x', body: 'x' }]);
      const gone = tarLayer([{ path: '.wh.tmp' }]);
      expect(await see([base, layer, gone], 'ls')).not.toContain('tmp');
    });

    it('fills in a hard link to a file of a layer below', async () => {
      const layer = tarLayer([{ path: 'usr/copy', type: 'hardlink', linkname: 'bin/tool' }]);
      expect(await see([base, layer], 'cat usr/copy; stat -c %a usr/copy')).toBe('tool4755\n');
    });

    it('starts over at a layer whose root is opaque', async () => {
      const layer = tarLayer([{ path: '.wh..wh..opq' }, { path: 'only', body: 'x' }]);
      expect(await see([base, layer], 'ls')).toBe('only\n');
      const { names } = await step([base, layer], 'rm only');
      expect(names).toEqual(['.wh.only']);
    });

    it('records a change of the root directory itself', async () => {
      const { names, layer } = await step([base], 'chmod 700 .');
      expect(names).toEqual(['/']);
      expect(await see([base, layer], 'stat -c %a .')).toBe('700\n');
    });

    it('leaves nothing of a discarded snapshot', async () => {
      const active = await bench.snapshotter.prepare([base]);
      runIn(active.mount, 'echo x > x');
      const path = active.mount.upper ?? active.mount.source;
      await active[Symbol.asyncDispose]();
      expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
    });

    it('stacks five hundred layers less what overlay itself needs', { timeout: 120_000 }, async () => {
      const chain = Array.from({ length: 480 }, (_, n) =>
        tarLayer([{ path: `f${n}`, body: `${n}` } satisfies TestEntry]),
      );
      expect(await see(chain, 'ls | wc -l')).toBe('480\n');
    });
  });
}

/** The layer as others see it: its tar is made from the frozen directory. */
function frozenLayer({ directories }: Bench, { diffId, sizeBytes }: CommittedLayer): Layer {
  const stream = () => directories.workers.stream({ kind: 'tar', layer: directories.pathOf(diffId) });
  const descriptor = { mediaType: OCI_LAYER, digest: asDigest(diffId), size: sizeBytes };
  return { diffId, descriptor, compressed: stream, uncompressed: stream };
}

async function namesOf(layer: Layer): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { entry } of decodeTar(layer.uncompressed())) {
    names.push(entry.type === 'directory' ? `${entry.path}/` : entry.path);
  }
  return names;
}
