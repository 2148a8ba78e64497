import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { SortedFile } from '../../src/layers/contents/sorted-file.ts';
import { SortedTable } from '../../src/layers/contents/sorted-table.ts';
import { SortedWriter } from '../../src/layers/contents/sorted-writer.ts';
import { TreeMaker } from '../../src/layers/contents/tree-maker.ts';
import { encodeHeader, paddingAfter, TAR_END, type TarEntry } from '../../src/layers/index.ts';
import { TarTree } from '../../src/layers/tar-tree.ts';
import {
  asDigest,
  type ByteStream,
  type ContentStore,
  type DiffId,
  type Digest,
  diffIdFrom,
  digestOf,
  type Layer,
  type LayerIndex,
  type LayerRecord,
  OCI_LAYER,
  sha256,
} from '../../src/oci/index.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The worker thread that the sources use, made as scripts/build.mjs makes it. */
export const buildWorker = (): Promise<void> => buildThread('layers-worker', 'src/layers/worker.ts');

/** The same of another thread: what dist/NAME.cjs is made of. */
export async function buildThread(name: string, source: string): Promise<void> {
  await build({
    absWorkingDir: ROOT,
    entryPoints: { [name]: source },
    outdir: 'dist',
    bundle: true,
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    define: { 'import.meta.url': '__moduleUrl' },
    banner: { js: "const __moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
    platform: 'node',
    target: 'node20.18',
    external: ['koffi'],
    logLevel: 'warning',
  });
}

/** A directory that goes away with the test. */
export function scratch(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'tsbuild-layers-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export const isRoot = process.getuid?.() === 0;

/** Whether this machine lets us mount overlay with `userxattr`. */
export function canMountOverlay(): boolean {
  if (!isRoot) return false;
  const script = 'cd $1 && mkdir l u w m && mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w,userxattr m';
  const { path, remove } = scratch();
  const { status } = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', path]);
  remove();
  return status === 0;
}

export type TestEntry = Partial<TarEntry> & { readonly path: string; readonly body?: string | Uint8Array };

/** Files by default; a directory where the path ends in `/`. */
export function entryOf({ body, ...given }: TestEntry): TarEntry {
  const type = given.type ?? (given.path.endsWith('/') ? 'directory' : 'file');
  const path = given.path.replace(/\/$/, '');
  const mode = type === 'directory' ? 0o755 : type === 'symlink' ? 0o777 : 0o644;
  const size = Buffer.from(body ?? '').length;
  return { mode, uid: 0, gid: 0, mtime: 1_600_000_000, size, ...given, type, path } as TarEntry; // a test's shorthand
}

/** An archive as bytes. */
export function tarBytes(entries: readonly TestEntry[]): Buffer {
  const parts = entries.flatMap((given) => {
    const entry = entryOf(given);
    if (entry.type !== 'file') return [encodeHeader(entry)];
    return [encodeHeader(entry), Buffer.from(given.body ?? ''), paddingAfter(entry.size)];
  });
  return Buffer.concat([...parts, TAR_END]);
}

export async function* streamOf(bytes: Uint8Array, chunk = 65536): ByteStream {
  for (let at = 0; at < bytes.byteLength; at += chunk) yield bytes.subarray(at, at + chunk);
}

export function layerOf(bytes: Uint8Array): Layer {
  const hash = sha256();
  hash.update(bytes);
  const diffId = diffIdFrom(hash);
  return {
    diffId,
    descriptor: { mediaType: OCI_LAYER, digest: asDigest(diffId), size: bytes.byteLength },
    compressed: () => streamOf(bytes),
    uncompressed: () => streamOf(bytes),
  };
}

/** A tar as a tree by its index, which is made in the directory; `freshBytes`: of the rows in memory meanwhile. */
export function indexed(tar: Uint8Array, directory: string, freshBytes?: number): TarTree {
  let files = 0;
  const newPath = () => join(directory, `${process.pid}-${files++}`);
  using table = new SortedTable(newPath, freshBytes);
  const maker = new TreeMaker(table);
  maker.push(tar);
  maker.end();
  const path = newPath();
  const fd = openSync(path, 'wx');
  const writer = new SortedWriter(fd);
  for (const { key, value } of maker.rows()) writer.add(key, value);
  writer.finish();
  closeSync(fd);
  const file = SortedFile.open(path, () => undefined);
  rmSync(path);
  if (!file) throw new Error('what was written cannot be opened');
  return new TarTree(layerOf(tar), file);
}

export const tarLayer = (entries: readonly TestEntry[]): Layer => layerOf(tarBytes(entries));

export async function collect(bytes: ByteStream): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

export class MemoryIndex implements LayerIndex {
  readonly records = new Map<DiffId, LayerRecord>();

  async get(diffId: DiffId): Promise<LayerRecord | undefined> {
    return this.records.get(diffId);
  }

  async add(record: LayerRecord): Promise<void> {
    const known = this.records.get(record.diffId);
    const tarSize = record.tarSize ?? known?.tarSize;
    this.records.set(record.diffId, {
      diffId: record.diffId,
      blobs: [...(known?.blobs ?? []), ...record.blobs],
      ...(tarSize === undefined ? {} : { tarSize }),
    });
  }
}

export class MemoryStore implements ContentStore {
  readonly blobs = new Map<Digest, Buffer>();

  async has(digest: Digest): Promise<boolean> {
    return this.blobs.has(digest);
  }

  open({ digest }: { readonly digest: Digest }): ByteStream {
    return streamOf(this.blobs.get(digest) ?? Buffer.alloc(0));
  }

  async read(digest: Digest): Promise<Uint8Array> {
    return this.blobs.get(digest) ?? Buffer.alloc(0);
  }

  ingestMade(bytes: ByteStream): Promise<{ readonly digest: Digest; readonly size: number }> {
    return this.ingest(bytes);
  }

  async ingest(bytes: ByteStream): Promise<{ readonly digest: Digest; readonly size: number }> {
    const all = await collect(bytes);
    this.blobs.set(digestOf(all), all);
    return { digest: digestOf(all), size: all.length };
  }

  async delete(digest: Digest): Promise<void> {
    this.blobs.delete(digest);
  }
}

/** `tar -tv` as lines without owner names and times: what an independent reader sees. */
export function gnuList(tar: Uint8Array): readonly string[] {
  const text = execFileSync('tar', ['-tvf', '-', '--numeric-owner', '--full-time'], {
    input: tar,
    env: { TZ: 'UTC', PATH: process.env.PATH },
  });
  return text.toString().trimEnd().split('\n');
}
