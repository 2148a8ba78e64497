import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Environment } from './api.ts';

/** For the run inside the namespace: where the text of the Containerfiles lies that could be read once. */
const PIPED = 'TSBUILD_PIPED_FILES';

/** Containerfiles that are pipes (`-f <(generate)`), as files. */
export interface PipedFiles {
  /** By the name that the user wrote. */
  readonly paths: ReadonlyMap<string, string>;
  /** Variables for the run inside the namespace. */
  readonly handOver: Environment;
}

/** Reads those of `files` that are pipes into files of `directory`, which is asked for if there are any. */
export function readPipes(files: readonly string[], env: Environment, directory: () => string): PipedFiles {
  const handed = env[PIPED];
  if (handed !== undefined) return { paths: new Map(JSON.parse(handed)), handOver: {} };
  const pipes = files.filter((file) => statSync(resolve(file), { throwIfNoEntry: false })?.isFIFO());
  if (pipes.length === 0) return { paths: new Map(), handOver: {} };
  const target = directory();
  const paths = pipes.map((file, index): [string, string] => {
    const path = join(target, String(index));
    writeFileSync(path, readFileSync(resolve(file)), { mode: 0o600 });
    // as standard input: what heredocs make of it has the same time in each build
    utimesSync(path, 0, 0);
    return [file, path];
  });
  return { paths: new Map(paths), handOver: { [PIPED]: JSON.stringify(paths) } };
}
