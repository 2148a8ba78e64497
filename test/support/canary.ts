import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Person } from './person.ts';

/** What no output, no image and no log may ever hold. */
export const CANARY = 'canary-of-the-host-7f3a';

/** A directory of the host that no build has any business in. */
export interface Canary {
  readonly directory: string;
  /** Fails the test where anything was made, changed or taken away in it. */
  check(): void;
}

/** Belongs to the person who builds: nothing but the program's care protects it. */
export function makeCanary(person: Person): Canary {
  const directory = person.directory();
  mkdirSync(join(directory, 'empty'));
  person.write(directory, {
    secret: CANARY,
    passwd: `evil:x:0:0:${CANARY}:/:/bin/sh\n`,
    'etc/secret': CANARY,
    'sub/secret': CANARY,
  });
  const before = snapshot(directory);
  return { directory, check: () => expect(snapshot(directory)).toEqual(before) };
}

const snapshot = (directory: string): readonly string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const path = join(directory, name);
      const { mode, uid, size, mtimeMs, ino } = lstatSync(path);
      return [name, mode, uid, ino, mtimeMs, lstatSync(path).isFile() ? readFileSync(path, 'utf8') : size].join(' ');
    });

/** Whether the canary's text is in a file, whatever it is. */
export const holdsCanary = (file: string): boolean =>
  existsSync(file) &&
  execFileSync('sh', ['-c', 'grep -aqs "$1" "$2" && echo yes || echo no', 'sh', CANARY, file]).toString() === 'yes\n';
