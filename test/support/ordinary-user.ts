import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const NAME = 'tsbuild-test';
const PLAIN = 'tsbuild-plain';
/** One range as `useradd` gives it. */
const COUNT = 65536;

/**
 * The ordinary user that tests run as root also try: `tsbuild-test`, made here where it is missing, with sub-ids that
 * overlap no one's. Stays on the machine, as other runs may be using it. Empty where it cannot be made.
 */
export function ordinaryUser(): string {
  if (process.getuid?.() !== 0) return '';
  try {
    if (!lines('/etc/passwd').some((line) => line.startsWith(`${NAME}:`))) addUser(NAME);
    if (!hasSubIds()) addSubIds();
    return NAME;
  } catch (error) {
    process.stderr.write(`The user "${NAME}" could not be made: ${String(error)}\n`);
    return '';
  }
}

/**
 * One without sub-ids, made here where it is missing (`--system`: useradd gives such a user none). Empty where it cannot be made.
 */
export function plainUser(): string {
  if (process.getuid?.() !== 0) return '';
  try {
    if (!lines('/etc/passwd').some((line) => line.startsWith(`${PLAIN}:`)))
      addUser(PLAIN, ['--system', '--user-group']);
    return PLAIN;
  } catch (error) {
    process.stderr.write(`The user "${PLAIN}" could not be made: ${String(error)}\n`);
    return '';
  }
}

const lines = (file: string): string[] => (existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []);

function addUser(name: string, options: readonly string[] = []): void {
  execFileSync('useradd', [...options, '--no-create-home', '--home-dir', '/nonexistent', '--shell', '/bin/sh', name]);
  process.stderr.write(`Made the user "${name}" for the tests; "userdel ${name}" removes it\n`);
}

const hasSubIds = (): boolean =>
  ['/etc/subuid', '/etc/subgid'].every((file) => lines(file).some((line) => line.startsWith(`${NAME}:`)));

function addSubIds(): void {
  const ends = ['/etc/subuid', '/etc/subgid'].flatMap(lines).map((line) => {
    const [, start = '', count = ''] = line.split(':');
    return Number(start) + Number(count) || 0;
  });
  const first = Math.max(100_000, ...ends);
  const range = `${first}-${first + COUNT - 1}`;
  execFileSync('usermod', ['--add-subuids', range, '--add-subgids', range, NAME]);
}
