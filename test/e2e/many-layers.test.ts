import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { workspace } from '../support/workspace.ts';

const copies = (count: number): string => Array.from({ length: count }, (_, n) => `COPY f /f${n}\n`).join('');

describe.runIf(hasBase()).each(people())('many layers of $name', (person) => {
  it('are more than the kernel stacks in one mount, deletions included', { timeout: 300_000 }, async () => {
    const space = workspace(person, {
      containerfile:
        `FROM ${inject('base')}\nRUN mkdir /d && echo old > /d/gone && echo old > /d/later && echo low > /low\n` +
        `RUN rm /d/gone\n${copies(505)}` +
        'RUN ls / | grep -c "^f[0-9]" && ls /d && rm -r /d /f0 /f504 && mkdir /d && echo new > /d/new\n' +
        'RUN ls /d && cat /low && ls / | grep -c "^f[0-9]"\n',
    });
    space.write({ f: 'f' });
    const { stderr } = await space.build(['-t', 'many']);
    const printed = [...stderr.matchAll(/^#\d+ \| (.*)$/gm)].map(([, line]) => line);
    expect(printed).toEqual(['505', 'later', 'new', 'low', '503']);
  });
});
