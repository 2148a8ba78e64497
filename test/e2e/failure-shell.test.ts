import { existsSync } from 'node:fs';
import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { requires } from '../support/requires.ts';
import { workspace } from '../support/workspace.ts';

const BASE = inject('base');
const hasScript = (): boolean =>
  requires('script (the package "bsdutils"), for a terminal', existsSync('/usr/bin/script'));

describe.runIf(hasBase() && hasScript()).each(people())('--on-failure=shell of $name', (person) => {
  const failing = () =>
    workspace(person, {
      containerfile: `FROM ${BASE}\nENV FOO=bar\nUSER 7\nWORKDIR /w\nRUN --mount=type=cache,target=/c echo made > /tmp/made; exit 3\n`,
    });

  it('is a shell in the root of the step, with its environment, mounts, user and a terminal of its own', async () => {
    const space = failing();
    const command = [process.execPath, inject('installed'), '--root', space.store, 'build', '--progress', 'plain'];
    const line = [...command, '--on-failure=shell', space.context].map((word) => `'${word}'`).join(' ');
    // the terminal keeps what is typed until somebody reads it
    const typed = 'echo "FOO=$FOO"; cat /tmp/made; id -u; pwd; tty; ls -d /c\nexit\n';
    const { stdout } = await person.run(['script', '-qec', line, '/dev/null'], { input: typed });
    const text = stdout.replaceAll('\r', '');
    expect(text).toContain('this is a shell in its root');
    expect(text).toMatch(/\nFOO=bar\nmade\n7\n\/w\n\/dev\/pts\/0\n\/c\n/);
    expect(text).toContain('RUN failed with exit status 3');
    // what failed is no result, whatever the shell ended with
    expect((await space.tryBuild()).stderr).toContain('RUN failed with exit status 3');
  });

  it('needs a terminal', async () => {
    const { status, stderr } = await failing().tryBuild(['--on-failure=shell']);
    expect(status).toBe(2);
    expect(stderr).toContain('standard input is no terminal');
    expect((await failing().tryBuild(['--on-failure=ignore'])).status).toBe(2);
  });
});
