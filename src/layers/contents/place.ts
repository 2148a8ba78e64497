import { BuildError } from '../../errors.ts';
import type { LayerNode } from '../layer-tree.ts';
import type { RootEntry } from '../root-view.ts';
import { Packer, Unpacker } from './packed.ts';

/** Where a file's bytes are: from a byte of the tar on, or (sparse files) somewhere in a member, counted from 0. */
export type FileBytes = { readonly offset: number } | { readonly member: number };

export type EntryNode = Extract<LayerNode, { readonly kind: 'entry' }>;

/** What a layer has at a path, as a row of its index says it. */
export interface Place {
  readonly node: LayerNode;
  /** Of a file. */
  readonly bytes?: FileBytes | undefined;
  /** Counts what was ever put into the tree: higher is later. */
  readonly time: number;
  /** Of a directory: since when it is one, else 0. What was put into it before went with what was there before. */
  readonly since: number;
}

export const entryNode = (entry: RootEntry, isImplicit = false, isOpaque = false): EntryNode => ({
  kind: 'entry',
  entry,
  isImplicit,
  isOpaque,
});

/** As numbers. */
const KINDS = ['whiteout', 'link', 'directory', 'file', 'symlink', 'char', 'block', 'fifo'] as const;

const IMPLICIT = 1;
const OPAQUE = 2;
/** Beside the kind. */
const HAS_XATTRS = 0x10;

const packer = new Packer();

/** A row's value; good until the next one is made. Time and since, then the kind and what belongs to it. */
export function encodePlace({ node, time, since, bytes }: Place): Buffer {
  packer.number(time).number(since);
  if (node.kind === 'whiteout') return packer.number(0).take();
  if (node.kind === 'link') return packer.number(1).text(node.linkname).take();
  const { entry } = node;
  const { mode, uid, gid, mtime, xattrs } = entry;
  packer.number(KINDS.indexOf(entry.type) + (xattrs ? HAS_XATTRS : 0));
  packer.number(mode).number(uid).number(gid).double(mtime);
  switch (entry.type) {
    case 'directory':
      packer.number((node.isImplicit ? IMPLICIT : 0) | (node.isOpaque ? OPAQUE : 0));
      break;
    case 'file':
      packer.number(entry.size).number(bytes && 'member' in bytes ? 2 * bytes.member + 1 : 2 * (bytes?.offset ?? 0));
      break;
    case 'symlink':
      packer.text(entry.linkname);
      break;
    case 'char':
    case 'block':
      packer.number(entry.devMajor).number(entry.devMinor);
      break;
    case 'fifo':
      break;
    default:
      entry satisfies never;
  }
  for (const [name, value] of xattrs ?? []) packer.text(name).bytes(value);
  return packer.take();
}

/** Of a row's value: the part that says whether it is still there. */
export function decodeTimes(value: Buffer): Pick<Place, 'time' | 'since'> {
  const unpacker = new Unpacker(value);
  return { time: unpacker.number(), since: unpacker.number() };
}

/** What `encodePlace` made for this path. */
export function decodePlace(value: Buffer, path: string): Place {
  const from = new Unpacker(value);
  const times = { time: from.number(), since: from.number() };
  const flags = from.number();
  const kind = KINDS[flags % HAS_XATTRS];
  if (kind === 'whiteout') return { node: { kind }, ...times };
  if (kind === 'link') return { node: { kind, linkname: from.text() }, ...times };
  const common = { path, mode: from.number(), uid: from.number(), gid: from.number(), mtime: from.double() };
  const withXattrs = <Entry>(entry: Entry): Entry =>
    flags < HAS_XATTRS ? entry : { ...entry, xattrs: decodeXattrs(from) };
  const placed = (entry: RootEntry): Place => ({ node: entryNode(withXattrs(entry)), ...times });
  switch (kind) {
    case 'directory': {
      const [state, entry] = [from.number(), withXattrs({ ...common, type: kind })];
      return { node: entryNode(entry, (state & IMPLICIT) !== 0, (state & OPAQUE) !== 0), ...times };
    }
    case 'file': {
      const [size, at] = [from.number(), from.number()];
      const bytes = at % 2 === 0 ? { offset: at / 2 } : { member: (at - 1) / 2 };
      return { ...placed({ ...common, type: kind, size }), bytes };
    }
    case 'symlink':
      return placed({ ...common, type: kind, linkname: from.text() });
    case 'char':
    case 'block':
      return placed({ ...common, type: kind, devMajor: from.number(), devMinor: from.number() });
    case 'fifo':
      return placed({ ...common, type: kind });
    default:
      throw new BuildError('E_INTERNAL', `A row of an index is of the kind ${flags}`);
  }
}

function decodeXattrs(from: Unpacker): ReadonlyMap<string, Uint8Array> {
  const xattrs = new Map<string, Uint8Array>();
  while (!from.isAtEnd) xattrs.set(from.text(), Uint8Array.from(from.bytes()));
  return xattrs;
}
