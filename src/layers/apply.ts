import { chmodSync, lchownSync, linkSync, lstatSync, mkdirSync, rmSync, symlinkSync, unlinkSync } from 'node:fs';
import { systemErrorCode } from '../errors.ts';
import { setOpenAttributes, setOpenTime, setPathAttributes, type Writing } from './attributes.ts';
import { childOf, DirectoryCursor, type OpenDirectory, refused } from './directory-cursor.ts';
import { readName } from './entry-name.ts';
import { FileWriter } from './file-writer.ts';
import { FreshStatus } from './fresh-status.ts';
import type { IdMap } from './id-map.ts';
import type { LayerMeta, Skipped } from './layer-meta.ts';
import type { Owners } from './ownership.ts';
import { mknod } from './syscalls.ts';
import type { TarEntry } from './tar/entry.ts';
import { isWhiteout, makeOpaque, makeOpaqueDirectory, makeWhiteout, type TarMarker } from './whiteout.ts';

type EntryOf<Type extends TarEntry['type']> = Extract<TarEntry, { readonly type: Type }>;

/** Far above any real layer; stops an archive of nothing but headers. */
const MAX_ENTRIES = 8_000_000;

const S_IFMT = { char: 0o020000, block: 0o060000, fifo: 0o010000 } as const;

interface Place {
  readonly directory: OpenDirectory;
  readonly name: string;
  /** For system calls. */
  readonly at: string;
  /** Relative to the layer's root, without symlinks. */
  readonly path: string;
}

/**
 * Unpacks a layer's tar into an empty directory, in the form that overlay mounts. Input is hostile: see DirectoryCursor for why
 * nothing outside of the directory can be reached. Takes what TarDecoder emits: `entry`, then the entry's `data`, `end`
 * last. All calls are synchronous: it is meant for a worker thread.
 */
export class LayerWriter {
  readonly #directories: DirectoryCursor;
  /** Where hard links point: apart, so that both descriptors are open at once. */
  readonly #targets: DirectoryCursor;
  readonly #ids: IdMap;
  readonly #owners: Owners;
  readonly #implicit = new Set<string>(['']);
  readonly #times = new Map<string, number>();
  /** Path to target. */
  readonly #links = new Map<string, string>();
  readonly #skipped: Skipped[] = [];
  readonly #fresh = new FreshStatus();
  #entries = 0;
  #opaqueRoot = false;
  #file: FileWriter | undefined;

  /** Owners that are only recorded may be any. */
  constructor(root: string, ids: IdMap, owners: Owners = 'real') {
    this.#directories = new DirectoryCursor(root);
    this.#targets = new DirectoryCursor(root);
    this.#ids = ids;
    this.#owners = owners;
  }

  entry(entry: TarEntry): void {
    this.#finishFile();
    if (++this.#entries > MAX_ENTRIES) throw refused(entry.path, `the layer has more than ${MAX_ENTRIES} entries`);
    const place = readName(entry.path);
    if (!place) return;
    if (!place.marker && this.#owners === 'real') this.#ids.check(entry);
    const parent = this.#openParent(place.directory);
    if (place.marker) this.#mark(place.marker, parent);
    else if (place.name === '') this.#setRoot(entry);
    else this.#make(entry, placeIn(parent, place.name));
  }

  data(bytes: Uint8Array): void {
    this.#file?.write(bytes);
  }

  hole(size: number): void {
    this.#file?.skip(size);
  }

  /** Ends the layer; its directories get their times now, when nothing more is put into them. */
  end(): Omit<LayerMeta, 'kind' | 'tarSize'> {
    this.#finishFile();
    for (const path of this.#implicit) this.#times.set(path, 0);
    for (const path of [...this.#times.keys()].sort()) {
      const directory = this.#directories.open(path);
      if (directory) setOpenTime(directory.fd, this.#times.get(path) ?? 0);
    }
    return {
      implicit: [...this.#implicit].sort(),
      opaqueRoot: this.#opaqueRoot,
      links: [...this.#links].map(([path, linkname]) => ({ path, linkname })),
      skipped: this.#skipped,
    };
  }

  close(): void {
    this.#file?.abandon();
    this.#directories.close();
    this.#targets.close();
  }

  #finishFile(): void {
    this.#file?.finish();
    this.#file = undefined;
  }

  #openParent(path: string): OpenDirectory {
    const parent = this.#directories.open(path, (at, missing) => {
      const stats = lstatSync(at, { throwIfNoEntry: false });
      if (this.#links.has(missing) || (stats && !isWhiteout(at, stats)))
        throw refused(path, `"${missing}" is not a directory`);
      if (stats) unlinkSync(at);
      if (stats) makeOpaqueDirectory(at);
      else mkdirSync(at, 0o700);
      // Neither the umask nor a parent's setgid bit has a say.
      // A user who unpacks a tree of his own can give nothing away.
      if (process.geteuid?.() === 0) lchownSync(at, 0, 0);
      chmodSync(at, 0o755);
      this.#implicit.add(missing);
    });
    if (!parent) throw refused(path, 'its directory cannot be made');
    return parent;
  }

  #mark(marker: TarMarker, parent: OpenDirectory): void {
    if (marker.kind === 'opaque') {
      if (parent.path === '') this.#opaqueRoot = true;
      else makeOpaque(`/proc/self/fd/${parent.fd}/.`);
      return;
    }
    if (marker.kind !== 'whiteout') return;
    const { at, path } = placeIn(parent, marker.name);
    // A whiteout speaks of the layers below only: what this layer itself put there stays, and hides them.
    if (this.#links.has(path)) return;
    const stats = lstatSync(at, { throwIfNoEntry: false });
    if (!stats) makeWhiteout(at);
    else if (stats.isDirectory()) makeOpaque(at);
  }

  #setRoot(entry: TarEntry): void {
    if (entry.type !== 'directory') throw refused('/', 'the root is not a directory');
    this.#fresh.forget();
    const root = this.#openParent('');
    this.#implicit.delete('');
    this.#times.set('', entry.mtime);
    setOpenAttributes(root.fd, `/proc/self/fd/${root.fd}/.`, entry, this.#writing(''));
  }

  #make(entry: TarEntry, place: Place): void {
    this.#links.delete(place.path);
    switch (entry.type) {
      case 'file':
        this.#makeNew(place, () => {
          this.#file = this.#create(entry, place);
        });
        return;
      case 'directory':
        this.#makeDirectory(entry, place);
        return;
      case 'symlink':
        this.#makeNew(place, () => symlinkSync(entry.linkname, place.at));
        setPathAttributes(place.at, entry, this.#writing(place.path));
        return;
      case 'hardlink':
        this.#makeHardLink(entry, place);
        return;
      case 'char':
      case 'block':
      case 'fifo':
        this.#makeSpecial(entry, place);
        return;
      default:
        entry satisfies never;
    }
  }

  #create(entry: EntryOf<'file'>, { at, path, directory, name }: Place): FileWriter {
    const statusOf = (fd: number) => this.#fresh.of(fd, directory.path, entry.mode & 0o777);
    return FileWriter.create({ entry, directory: directory.fd, name, at }, this.#writing(path, statusOf));
  }

  #makeDirectory(entry: EntryOf<'directory'>, place: Place): void {
    this.#fresh.forget();
    const stats = makeUnlessThere(() => mkdirSync(place.at, 0o700)) ? undefined : lstatSync(place.at);
    if (stats && !stats.isDirectory()) {
      const hides = isWhiteout(place.at, stats);
      unlinkSync(place.at);
      if (hides) makeOpaqueDirectory(place.at);
      else mkdirSync(place.at, 0o700);
    }
    const directory = this.#directories.open(place.path);
    if (!directory) throw refused(entry.path, 'the directory cannot be made');
    this.#implicit.delete(place.path);
    this.#times.set(place.path, entry.mtime);
    setOpenAttributes(directory.fd, `/proc/self/fd/${directory.fd}/.`, entry, this.#writing(place.path));
  }

  #makeHardLink(entry: EntryOf<'hardlink'>, place: Place): void {
    const link = readName(entry.linkname);
    if (!link || link.marker || link.name === '')
      throw refused(entry.path, `its link target "${entry.linkname}" is no file`);
    const lower = this.#links.get(entry.linkname);
    const parent = this.#targets.open(link.directory);
    const target = parent && placeIn(parent, link.name);
    const stats = target && lstatSync(target.at, { throwIfNoEntry: false });
    if (!target || !stats) {
      this.#remove(place);
      this.#links.set(place.path, lower ?? entry.linkname);
      return;
    }
    if (stats.isDirectory()) throw refused(entry.path, `its link target "${entry.linkname}" is a directory`);
    if (isWhiteout(target.at, stats)) throw refused(entry.path, `its link target "${entry.linkname}" is deleted`);
    if (target.path === place.path) return;
    if (target.path.startsWith(`${place.path}/`)) throw refused(entry.path, 'it links to what it replaces');
    this.#makeNew(place, () => linkSync(target.at, place.at));
  }

  #makeSpecial(entry: EntryOf<'char' | 'block' | 'fifo'>, place: Place): void {
    const device = entry.type === 'fifo' ? { major: 0, minor: 0 } : { major: entry.devMajor, minor: entry.devMinor };
    if (entry.type === 'char' && device.major === 0 && device.minor === 0) {
      throw refused(entry.path, 'the device 0:0 means a deletion, which a layer writes as ".wh."');
    }
    this.#remove(place);
    try {
      mknod(place.at, S_IFMT[entry.type] | 0o600, device);
    } catch (error) {
      // A user namespace has no device nodes of its own (user_namespaces(7)); peers leave them out as well.
      if (entry.type === 'fifo' || systemErrorCode(error) !== 'EPERM') throw error;
      this.#skipped.push({
        path: place.path,
        what: `${entry.type} device ${device.major}:${device.minor}`,
        reason: 'EPERM',
      });
      return;
    }
    setPathAttributes(place.at, entry, this.#writing(place.path));
  }

  /** Makes something that is no directory; what this layer had there before goes. */
  #makeNew(place: Place, make: () => void): void {
    if (makeUnlessThere(make)) return;
    this.#remove(place);
    make();
  }

  #remove(place: Place): void {
    const stats = lstatSync(place.at, { throwIfNoEntry: false });
    if (!stats) return;
    if (!stats.isDirectory()) {
      unlinkSync(place.at);
      return;
    }
    this.#fresh.forget();
    this.#directories.forget(place.path);
    this.#targets.forget(place.path);
    for (const paths of [this.#implicit, this.#times, this.#links]) {
      for (const path of paths.keys()) if (path === place.path || path.startsWith(`${place.path}/`)) paths.delete(path);
    }
    rmSync(place.at, { recursive: true });
  }

  #writing(path: string, statusOf?: Writing['statusOf']): Writing {
    const onSkipped = (name: string, reason: string) =>
      void this.#skipped.push({ path, what: `attribute ${name}`, reason });
    return { owners: this.#owners, onSkipped, statusOf };
  }
}

const placeIn = (parent: OpenDirectory, name: string): Place => ({
  directory: parent,
  name,
  at: childOf(parent.fd, name),
  path: parent.path === '' ? name : `${parent.path}/${name}`,
});

/** false: something has the name already. */
function makeUnlessThere(make: () => void): boolean {
  try {
    make();
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false;
    throw error;
  }
}
