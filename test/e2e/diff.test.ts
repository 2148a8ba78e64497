import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { succeeded, workspace } from '../support/workspace.ts';

const BASE = inject('base');
const EPOCH = { env: { SOURCE_DATE_EPOCH: '1700000000' } };

describe.runIf(hasBase()).each(people())('tsbuild diff, for $name', (person) => {
  it('names what makes two builds of one Containerfile differ, down to the file', async () => {
    const space = workspace(person, {
      containerfile: `FROM ${BASE}\nARG MODE=600\nCOPY f /f\nRUN chmod $MODE /f; mkdir /d; [ $MODE = 600 ] || echo x >/d/x\n`,
      files: { f: 'text' },
    });
    await space.build(['-t', 'one'], EPOCH);
    await space.build(['-t', 'again', '--no-cache'], EPOCH);
    await space.build(['-t', 'two', '--build-arg', 'MODE=640', '--label', 'a=b'], EPOCH);
    const same = succeeded(await space.tsbuild(['diff', '--exit-code', 'one', 'again']));
    expect(same.stdout).toMatch(/^the same image: sha256:\w{64}\n$/);
    const { status, stdout } = await space.tsbuild(['diff', '--exit-code', 'one', 'two']);
    expect(status).toBe(1);
    expect(stdout).toContain('config: config.Labels\n+ {"a":"b"}\n');
    expect(stdout).toMatch(
      /^layer 3: RUN .*\n~ made by another step: RUN .*\n\+ \/d\/x\n~ \/f\n {4}mode 0600 -> 0640\n$/m,
    );
    expect(stdout).not.toContain('layer 2');
  });

  it('reads archives beside the store, and sees when only the compression differs', async () => {
    const space = workspace(person, { containerfile: `FROM ${BASE}\nRUN echo x >/x\n` });
    await space.build(['-t', 'one'], EPOCH);
    succeeded(await space.tsbuild(['push', 'one', `oci-archive:${space.context}/one.tar`]));
    const { stdout } = succeeded(await space.tsbuild(['diff', 'one', `oci-archive:${space.context}/one.tar`]));
    expect(stdout).toMatch(/^the same (image|config and layers)/);
    const missing = await space.tsbuild(['diff', 'one', 'oci-archive:none.tar']);
    expect(missing).toMatchObject({ status: 9 });
  });
});
