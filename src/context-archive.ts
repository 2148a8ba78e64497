import { posix } from 'node:path';
import { BuildError } from './errors.ts';
import type { EventSink } from './events.ts';
import {
  decodeTar,
  type FlatEntry,
  type LayerWorkers,
  openIfArchive,
  type TarEntry,
  unpackTree,
} from './layers/index.ts';
import type { ByteStream } from './oci/index.ts';

export interface ContextArchive {
  /** Opens the bytes anew. */
  readonly open: () => ByteStream;
  /** For messages. */
  readonly name: string;
}

export interface UnpackParts {
  readonly workers: LayerWorkers;
  readonly emit: EventSink;
}

/**
 * Unpacks a context that is a tar archive (by content, whatever its compression) into a directory, all files as the
 * caller's own; false: it is none. Archives are hostile: nothing is written outside of the directory, hard links lead
 * to members of the archive only, and devices and names that would be deletions are left out, with a warning. Throws
 * `E_BAD_ARCHIVE`.
 */
export async function unpackContext(
  { open, name }: ContextArchive,
  directory: string,
  { workers, emit }: UnpackParts,
): Promise<boolean> {
  const tar = await openIfArchive(open);
  if (tar === undefined) return false;
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const warn = (path: string, what: string): void =>
    emit({ type: 'warning', message: `"${path}" of the context "${name}" ${what}` });
  const entries = members(tar, (path, why) => warn(path, `is left out: ${why}`));
  try {
    await unpackTree(owner.uid === 0 ? entries : usable(entries, warn), directory, { workers, owner });
    return true;
  } catch (cause) {
    if (!(cause instanceof BuildError && (cause.code === 'E_BAD_LAYER' || cause.code === 'E_BAD_ARCHIVE'))) throw cause;
    throw new BuildError('E_BAD_ARCHIVE', `Cannot unpack the context "${name}": ${cause.message}`, {
      hint: 'The archive is damaged or cut off, or was not made to be a context; try tar -tvf on it',
      cause,
    });
  }
}

/** The archive's members, each after the directory that it is in. */
async function* members(tar: ByteStream, leaveOut: (path: string, why: string) => void): AsyncIterable<FlatEntry> {
  const seen = new Set<string>(['']);
  for await (const member of decodeTar(tar)) {
    const { entry } = member;
    const why = unwanted(entry);
    if (why !== undefined) {
      leaveOut(entry.path, why);
      continue;
    }
    if (entry.type === 'hardlink' && !seen.has(entry.linkname)) {
      throw new BuildError(
        'E_BAD_ARCHIVE',
        `"${entry.path}" is a hard link to "${entry.linkname}", which is not there`,
      );
    }
    yield* missingParents(entry, seen);
    seen.add(entry.path);
    yield member;
  }
}

/** Who is not root can neither fill nor move a directory that he may not write to, nor read a file that he may not read. */
async function* usable(
  entries: AsyncIterable<FlatEntry>,
  warn: (path: string, what: string) => void,
): AsyncIterable<FlatEntry> {
  for await (const { entry, body } of entries) {
    const mode = entry.mode | (entry.type === 'directory' ? 0o700 : entry.type === 'file' ? 0o400 : 0);
    if (mode !== entry.mode && entry.path !== '') {
      warn(
        entry.path,
        `gets the mode ${mode.toString(8)} instead of ${entry.mode.toString(8)}, which only root can use`,
      );
    }
    yield { entry: { ...entry, mode }, body };
  }
}

function unwanted({ type, path }: TarEntry): string | undefined {
  if (type === 'char' || type === 'block') return 'it is a device';
  return path.split('/').some((name) => name.startsWith('.wh.'))
    ? 'names that start with ".wh." mean deletions in layers'
    : undefined;
}

function* missingParents({ path, mtime }: TarEntry, seen: Set<string>): Iterable<FlatEntry> {
  const parents: string[] = [];
  for (let at = posix.dirname(path); at !== '.' && at !== '/' && !seen.has(at); at = posix.dirname(at))
    parents.push(at);
  for (const parent of parents.reverse()) {
    seen.add(parent);
    yield { entry: { type: 'directory', path: parent, mode: 0o755, uid: 0, gid: 0, mtime }, body: nothing() };
  }
}

async function* nothing(): ByteStream {}
