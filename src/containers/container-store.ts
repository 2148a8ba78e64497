import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BuildError, systemErrorCode } from '../errors.ts';
import { readRecord, replaceFile, withFileLock } from '../store/index.ts';
import type { ContainerRecord } from './record.ts';

const RECORD = 'container.json';
/** What is being made or removed; no container. */
const UNFINISHED = '.';

/**
 * The containers of a state directory: `containers/ID/` with the record and the log of each. A record is written by the
 * container's monitor alone, so it needs no lock; making one does, for the sake of the names.
 */
export class Containers {
  readonly #root: string;

  /** `root`: see `StorePaths.containers`. */
  constructor(root: string) {
    this.#root = root;
  }

  directoryOf(id: string): string {
    return join(this.#root, id);
  }

  /** Throws `E_CONTAINER` where the name is taken, `E_NO_SPACE`. */
  create(record: ContainerRecord): Promise<void> {
    return withFileLock(join(this.#root, 'names'), async () => {
      this.#clear();
      const holder = (await this.list()).find(({ name }) => name === record.name);
      if (holder !== undefined) throw nameTaken(holder);
      const making = this.#unfinished(record.id);
      mkdirSync(making, { mode: 0o700 });
      await replaceFile({ path: join(making, RECORD), bytes: JSON.stringify(record), ingest: making });
      renameSync(making, this.directoryOf(record.id));
    });
  }

  /** Of a container that is there; E_NO_CONTAINER: it was removed meanwhile. */
  async write(record: ContainerRecord): Promise<void> {
    const directory = this.directoryOf(record.id);
    if ((await this.#read(record.id)) === undefined) throw noContainer(record.name, []);
    await replaceFile({ path: join(directory, RECORD), bytes: JSON.stringify(record), ingest: directory });
  }

  /** The newest first. */
  async list(): Promise<readonly ContainerRecord[]> {
    const records: ContainerRecord[] = [];
    for (const id of this.#names()) {
      const record = id.startsWith(UNFINISHED) ? undefined : await this.#read(id);
      if (record !== undefined) records.push(record);
    }
    return records.sort((a, b) => (a.created < b.created ? 1 : -1));
  }

  /** By name, by id or by the beginning of one. Throws `E_NO_CONTAINER`, `E_USAGE` where several begin so. */
  async find(text: string): Promise<ContainerRecord> {
    const all = await this.list();
    const named = all.find(({ name, id }) => name === text || id === text);
    if (named !== undefined) return named;
    const [found, ...more] = /^[0-9a-f]+$/.test(text) ? all.filter(({ id }) => id.startsWith(text)) : [];
    if (found === undefined) throw noContainer(text, all);
    if (more.length === 0) return found;
    throw new BuildError('E_USAGE', `"${text}" is the beginning of ${more.length + 1} containers`, {
      hint: 'Give more of the id, or the name: tsbuild ps -a',
    });
  }

  /** false: somebody else has removed it. */
  remove(id: string): boolean {
    const removing = this.#unfinished(id);
    try {
      renameSync(this.directoryOf(id), removing);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return false;
      throw error;
    }
    rmSync(removing, { recursive: true, force: true });
    return true;
  }

  #unfinished = (id: string): string => join(this.#root, `${UNFINISHED}${id}-${randomBytes(4).toString('hex')}`);

  /** What a process left that was killed meanwhile. Under the lock, so nobody is making anything. */
  #clear(): void {
    for (const name of this.#names()) {
      if (name.startsWith(UNFINISHED)) rmSync(join(this.#root, name), { recursive: true, force: true });
    }
  }

  #names(): readonly string[] {
    try {
      const entries = readdirSync(this.#root, { withFileTypes: true });
      return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return [];
      throw error;
    }
  }

  async #read(id: string): Promise<ContainerRecord | undefined> {
    const record = await readRecord(join(this.directoryOf(id), RECORD));
    // our own file, written whole; what has not even an id of ours is not shown
    return record?.id === id ? (record as unknown as ContainerRecord) : undefined;
  }
}

/** Of a state directory, which need not be there. */
export const containersOf = (stateDirectory: string): Containers => new Containers(join(stateDirectory, 'containers'));

const nameTaken = ({ name, id }: ContainerRecord): BuildError =>
  new BuildError('E_CONTAINER', `The name "${name}" is taken by the container ${id.slice(0, 12)}`, {
    hint: `Choose another name, or remove that one: tsbuild rm -f ${name}`,
  });

function noContainer(text: string, all: readonly ContainerRecord[]): BuildError {
  const names = all.slice(0, 5).map(({ name }) => `"${name}"`);
  return new BuildError('E_NO_CONTAINER', `There is no container "${text}"`, {
    hint:
      names.length === 0
        ? 'There are none; tsbuild run IMAGE starts one'
        : `There are ${names.join(', ')}: tsbuild ps -a`,
  });
}
