import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { PullResult, SessionOptions } from './api.ts';
import { type Workspace, withWorkspace } from './assembly.ts';
import { resultOf } from './images.ts';
import { decompress } from './layers/index.ts';
import { formatReference, parseLocalName, type Reference } from './oci/index.ts';
import { type ArchivedImage, OciLayout, openArchive } from './store/index.ts';

export interface LoadOptions extends SessionOptions {
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
}

/**
 * Brings all images of an OCI or Docker archive (`-`: standard input) or of an OCI layout directory into the store.
 * Throws `E_BAD_MANIFEST`, `E_BAD_LAYER`, `E_STORE`.
 */
export const load = (input: string, options: LoadOptions): Promise<readonly PullResult[]> =>
  withWorkspace(options, async ({ store }) => {
    if (input !== '-' && statSync(input, { throwIfNoEntry: false })?.isDirectory()) {
      const layout = new OciLayout({ directory: resolve(input), decompress });
      return keepAll(await layout.list(), store, options);
    }
    const source = input === '-' ? (options.stdin ?? emptyBytes()) : resolve(input);
    await using archive = await openArchive({ source, ingest: store.paths.ingest, decompress });
    return await keepAll(archive.images, store, options);
  });

async function keepAll(
  images: readonly ArchivedImage[],
  store: Workspace['store'],
  options: LoadOptions,
): Promise<PullResult[]> {
  const results: PullResult[] = [];
  for (const archived of images) {
    const image = await archived.content(options);
    const [name] = archived.names;
    const refs = archived.names.length === 0 ? [] : namesOf(archived.names);
    if (name === undefined) await store.images.add(image, options);
    for (const ref of refs) await store.images.write(image, ref, options);
    results.push(resultOf(refs.map(formatReference).join(', ') || '<none>', image));
  }
  return results;
}

const isWhole = (name: string): boolean => /[/:]/.test(name);

/** A name inside an OCI layout may be only a tag; beside a whole name it says nothing new. */
function namesOf(names: readonly string[]): Reference[] {
  const whole = names.filter(isWhole);
  return whole.length > 0 ? whole.map(parseLocalName) : names.map((tag) => parseLocalName(`image:${tag}`));
}

async function* emptyBytes(): AsyncIterable<Uint8Array> {}
