import type { SourceRange } from '../../../src/errors.ts';
import { type CopyRequest, copyLayer } from '../../../src/executor/copy-layer.ts';
import { selectSources } from '../../../src/executor/selection.ts';
import type { SourceRoot } from '../../../src/executor/source-root.ts';
import type { CopyOp } from '../../../src/graph/index.ts';
import { decodeTar, type RootView, type TarEntry } from '../../../src/layers/index.ts';
import type { MtimeRule } from '../../../src/oci/index.ts';
import { parseIgnoreFile } from '../../../src/parser/index.ts';
import { memoryView } from '../../support/memory-view.ts';

export const range: SourceRange = {
  source: { name: 'Containerfile', text: 'FROM scratch\nCOPY a b\n' },
  start: { line: 2, column: 6 },
  end: { line: 2, column: 7 },
};

export type CopyOptions = Partial<Omit<CopyOp, 'kind' | 'sources' | 'destination'>> & { readonly unpack?: boolean };

/** `COPY sources... destination`; a source `<<name:text` is a heredoc. */
export function copyOp(
  sources: readonly string[],
  destination: string,
  { unpack = false, ...options }: CopyOptions = {},
): CopyOp {
  return {
    kind: 'copy',
    destination,
    link: false,
    parents: false,
    exclude: [],
    pending: [],
    ...options,
    sources: sources.map((path) => {
      const [, name, content] = /^<<(\w+):(.*)$/s.exec(path) ?? [];
      if (name === undefined || content === undefined) return { type: 'path', path, range, input: 1, unpack };
      return { type: 'inline', file: { name, content } };
    }),
  };
}

export function sourceRoot(directory: string, ignore?: string): SourceRoot {
  return {
    directory,
    description: 'the context',
    keepsOwners: false,
    ...(ignore === undefined
      ? {}
      : { ignore: { ...parseIgnoreFile(ignore, '.containerignore'), fileName: '.containerignore' } }),
  };
}

export interface Copied {
  /** By path in the image. */
  readonly entries: ReadonlyMap<string, TarEntry>;
  readonly bodies: ReadonlyMap<string, string>;
  /** In the order of the tar, directories end in `/`. */
  readonly paths: readonly string[];
}

export async function readTar(tar: AsyncIterable<Uint8Array>): Promise<Copied> {
  const entries = new Map<string, TarEntry>();
  const bodies = new Map<string, string>();
  const paths: string[] = [];
  for await (const { entry, body } of decodeTar(tar)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(Uint8Array.from(chunk));
    const path = `/${entry.path}`;
    entries.set(path, entry);
    if (entry.type === 'file') bodies.set(path, Buffer.concat(chunks).toString());
    paths.push(entry.type === 'directory' ? `${path}/` : path);
  }
  return { entries, bodies, paths };
}

export interface CopyPlace extends Pick<CopyRequest, 'warn'> {
  readonly root: SourceRoot | string;
  readonly view?: RootView;
  readonly mtimeRule?: MtimeRule;
}

/** What the layer of a COPY holds. */
export async function copy(op: CopyOp, { root, view = memoryView({}), mtimeRule, warn }: CopyPlace): Promise<Copied> {
  const from = typeof root === 'string' ? sourceRoot(root) : root;
  const sources = selectSources(op, () => from);
  return readTar(await copyLayer({ op, sources, view, mtimeRule, inlineMtime: 7, warn }));
}
