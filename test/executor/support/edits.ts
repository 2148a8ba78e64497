import { chmodSync, linkSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type EditKind = 'write' | 'grow' | 'replace' | 'remove' | 'chmod' | 'touch' | 'link' | 'move';

export interface Edit {
  readonly what: EditKind;
  readonly file: string;
  /** Of a link or a move: the new name. */
  readonly other: string;
}

/** The `n`th edit of files below a directory; nothing, where there is no such file or the name is taken. */
export function edit(directory: string, { what, file, other }: Edit, n: number): void {
  const [path, to] = [join(directory, file), join(directory, other)];
  try {
    if (what === 'write') writeFileSync(path, `${n}`);
    if (what === 'grow') writeFileSync(path, 'more '.repeat(n * 1000));
    if (what === 'replace') writeFileSync(`${path}~`, `${n}`);
    if (what === 'replace') renameSync(`${path}~`, path);
    if (what === 'remove') rmSync(path);
    if (what === 'chmod') chmodSync(path, n % 2 === 0 ? 0o600 : 0o755);
    if (what === 'touch') utimesSync(path, n, n);
    if (what === 'link') linkSync(path, to);
    if (what === 'move') renameSync(path, to);
  } catch {
    // see above
  }
}
