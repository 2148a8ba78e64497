import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../errors.ts';
import { type Digest, formatReference, isDigest, parseReference, type Reference } from '../oci/index.ts';
import { type StorePaths, tagPath } from './paths.ts';
import { readRecord, replaceFile } from './state-file.ts';
import { storeError } from './store-error.ts';

/** A name for an image of the store. */
export interface TagRecord {
  /** Normalised, with tag or digest (`formatReference`). */
  readonly name: string;
  /** Digest of the manifest. */
  readonly manifest: Digest;
  /** RFC 3339: when the name was first given, and when it got this image. */
  readonly created: string;
  readonly updated: string;
}

/** A file for each name, replaced in one step and synced: whoever named an image finds it after a power cut. */
export class Tags {
  readonly #paths: StorePaths;

  constructor(paths: StorePaths) {
    this.#paths = paths;
  }

  /** undefined: no such name, or its record is damaged. */
  async lookup(ref: Reference): Promise<TagRecord | undefined> {
    const name = formatReference(ref);
    const record = parseTag(await readRecord(tagPath(this.#paths, name)));
    return record?.name === name ? record : undefined;
  }

  async set(ref: Reference, manifest: Digest): Promise<TagRecord> {
    const name = formatReference(ref);
    const known = await this.lookup(ref);
    if (known?.manifest === manifest) return known;
    const updated = new Date().toISOString();
    const record: TagRecord = { name, manifest, created: known?.created ?? updated, updated };
    const path = tagPath(this.#paths, name);
    await replaceFile({ path, bytes: JSON.stringify(record), ingest: this.#paths.ingest, durable: true });
    return record;
  }

  /** false: there was no such name. */
  async delete(ref: Reference): Promise<boolean> {
    const path = tagPath(this.#paths, formatReference(ref));
    try {
      await rm(path);
      return true;
    } catch (cause) {
      if (systemErrorCode(cause) === 'ENOENT') return false;
      throw storeError({ doing: 'remove a tag', path }, cause);
    }
  }

  /** Sorted by name. */
  async list(): Promise<readonly TagRecord[]> {
    const names = await readdir(this.#paths.tags).catch((cause: unknown) => {
      throw storeError({ doing: 'list tags', path: this.#paths.tags }, cause);
    });
    const records = await Promise.all(
      names.filter((name) => name.endsWith('.json')).map((name) => readRecord(join(this.#paths.tags, name))),
    );
    return records
      .flatMap((value) => parseTag(value) ?? [])
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }
}

/** The names under which an image written as `ref` is found: its tag, and the digest that it was asked for by. */
export function namesFor(ref: Reference): readonly Reference[] {
  const { registry, repository, tag, digest } = ref;
  return [
    ...(tag === undefined ? [] : [{ registry, repository, tag }]),
    ...(digest === undefined ? [] : [{ registry, repository, digest }]),
  ];
}

/** undefined: not a record that we wrote. */
export function parseTag(value: Readonly<Record<string, unknown>> | undefined): TagRecord | undefined {
  if (!value) return undefined;
  const { name, manifest, created, updated } = value;
  if (typeof name !== 'string' || typeof manifest !== 'string' || !isDigest(manifest)) return undefined;
  try {
    parseReference(name);
  } catch {
    return undefined;
  }
  return { name, manifest, created: String(created), updated: String(updated) };
}
