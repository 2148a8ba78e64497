import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, it } from 'vitest';
import { hasBase, type Person, people } from '../support/person.ts';
import { requires } from '../support/requires.ts';
import { succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');
const VALUE = 'hunter2-5f3a9c';

function project(person: Person, text: string, files: Readonly<Record<string, string>> = {}): Workspace {
  return workspace(person, { containerfile: `FROM ${BASE}\n${text}\n`, files });
}

/** Files of a directory that hold the text; what is gone meanwhile does not. */
function filesWith(directory: string, text: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => {
    const path = join(directory, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat?.isFile() === true && readFileSync(path).includes(text);
  });
}

/** Command lines and environments of all processes that one may look at, each with what it is in front. */
function processTexts(): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) =>
    ['cmdline', 'environ'].map((file) => `${file} of ${pid}: ${readOptional(`/proc/${pid}/${file}`)}`),
  );
}

function readOptional(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

describe.runIf(hasBase()).each(people())('A secret of $name', (person) => {
  const file = (): string => {
    const directory = person.directory();
    person.write(directory, { token: `${VALUE}\n` });
    chmodSync(join(directory, 'token'), 0o600);
    return join(directory, 'token');
  };

  it('is a file with its owner and mode, a variable, or both (8.4 #110)', async () => {
    const space = project(
      person,
      [
        'RUN --mount=type=secret,id=f ls -ln /run/secrets/f; test "$(cat /run/secrets/f)" = "$(cat /run/secrets/f)" && wc -c < /run/secrets/f',
        'RUN --mount=type=secret,id=f,target=/etc/my/s,mode=0440,uid=7,gid=8 ls -ln /etc/my/s; echo x 2>/dev/null > /etc/my/s || echo read-only; grep -c " /etc/my/s ramfs ro" /proc/mounts',
        `RUN --mount=type=secret,id=v,env=TOKEN test "$TOKEN" = "${VALUE}"; test ! -e /run/secrets && echo only the variable`,
        'RUN --mount=type=secret,id=v,env=TOKEN,target=both test "$TOKEN" = "$(cat /both)" && echo both',
        'ENV SET=image\nRUN --mount=type=secret,id=v,env=SET test "$SET" != image && echo over ENV',
      ].join('\n'),
    );
    const { stderr } = await space.build(
      ['--progress', 'plain', '--secret', `id=f,src=${file()}`, '--secret', 'id=v,env=MY_TOKEN'],
      { env: { MY_TOKEN: VALUE } },
    );
    expect(stderr).toMatch(/-r-------- +1 0 +0 +15 .* \/run\/secrets\/f\n.*\| 15\n/);
    expect(stderr).toMatch(/-r--r----- +1 7 +8 +15 .* \/etc\/my\/s\n.*\| read-only\n.*\| 1\n/);
    for (const line of ['only the variable', 'both', 'over ENV']) expect(stderr).toContain(`| ${line}\n`);
  });

  it('takes a variable or a file called like its id, and a file of a shell', async () => {
    const space = project(
      person,
      'RUN --mount=type=secret,id=ONE,mode=0444 --mount=type=secret,id=two,mode=0444 --mount=type=secret,id=three wc -c /run/secrets/*',
    );
    const directory = person.directory();
    person.write(directory, { two: '22' });
    const args = ['--root', space.store, 'build', '--progress', 'plain', '--secret', 'id=ONE', '--secret', 'id=two'];
    const script = '"$@" --secret id=three,src=<(printf 333) "$0"';
    const command = [process.execPath, inject('installed'), ...args];
    const run = person.run(['bash', '-c', script, space.context, ...command], { cwd: directory, env: { ONE: '1' } });
    const { stderr } = succeeded(await run);
    expect(stderr).toMatch(/\| +1 \/run\/secrets\/ONE\n.*\| +3 \/run\/secrets\/three\n.*\| +2 \/run\/secrets\/two\n/);
  });

  it('that is missing is no file and no variable, or an error where it is required (8.4 #110)', async () => {
    const text =
      'RUN --mount=type=secret,id=a --mount=type=secret,id=b,env=B test ! -e /run/secrets && test -z "$' + '{B+x}"';
    await project(person, text).build();
    await project(person, text).build(['--secret', 'id=b,env=NOT_SET']);

    const required = project(person, 'RUN echo first > /x\nRUN --mount=type=secret,id=a,required true');
    const { status, stderr } = await required.tryBuild();
    expect(status).toBe(5);
    expect(stderr).toContain(
      'error[E_NO_SECRET]: The secret "a" is required and was not given\n  --> Containerfile:3:13',
    );
    expect(stderr).toContain('next: Give it: --secret id=a,src=FILE, or --secret id=a,env=NAME');
    expect(stderr).not.toMatch(/^#\d/m);
    expect((await required.tryBuild(['--secret', 'id=a,env=NOT_SET'])).stderr).toContain('"NOT_SET" is not set');
    const absent = await required.tryBuild(['--secret', 'id=a,src=/nowhere/at/all']);
    expect(absent.stderr).toContain('Cannot read the secret "a" from "/nowhere/at/all": ENOENT');
  });

  it('is in no layer, history, key, log, argument or file, and changes no result (8.4 #110)', async () => {
    const text = 'RUN --mount=type=secret,id=f --mount=type=secret,id=v,env=TOKEN sleep 3; touch /done';
    const space = project(person, text);
    const source = file();
    const args = ['--progress', 'json', '--secret', `id=f,src=${source}`, '--secret', 'id=v,env=MY_TOKEN'];
    const running = space.build([...args, '-t', 'image0', '-o', `type=oci,dest=${space.store}/oci.tar`], {
      env: { MY_TOKEN: VALUE },
    });
    await sleep(2000);
    const holders = processTexts().filter((text) => text.includes(VALUE));
    // the variable is the caller's own, and the step's: the run inside the namespace has it not, nor has any argument
    expect(holders.length).toBeGreaterThan(0);
    expect(holders.filter((text) => text.startsWith('cmdline') || text.includes('TSBUILD_NAMESPACE'))).toEqual([]);
    const outcome = await running;
    expect(outcome.stderr + outcome.stdout).not.toContain(VALUE);
    if (person.isRoot) expect(filesWith(space.store, VALUE)).toEqual([]);
    const inspected = succeeded(await space.tsbuild(['inspect', 'image0'])).stdout;
    expect(inspected).not.toContain(VALUE);
    const other = await space.build(['--secret', 'id=v,env=OTHER', '--secret', `id=f,src=${source}`], {
      env: { OTHER: 'another' },
    });
    expect(other.stderr).toContain('1 cached');
    expect((await space.build()).stderr).toContain('1 cached');
  });

  it('stays out of messages about the step that fails with it', async () => {
    const space = project(person, 'RUN --mount=type=secret,id=f,env=TOKEN exit 3');
    const { status, stderr } = await space.tryBuild(['--debug', '--secret', `id=f,src=${file()}`]);
    expect(status).toBe(5);
    expect(stderr).not.toContain(VALUE);
  });
});

/** ssh-add with its libraries, to be run in a step. */
function sshAddIn(context: string): void {
  const program = '/usr/bin/ssh-add';
  const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
  for (const path of [program, ...libraries]) {
    mkdirSync(join(context, 'host', path, '..'), { recursive: true });
    copyFileSync(path, join(context, 'host', path));
  }
}

const hasSsh = (): boolean =>
  requires('openssh-client', existsSync('/usr/bin/ssh-agent') && existsSync('/usr/bin/ssh-add'));

describe.runIf(hasBase() && hasSsh()).each(people())('An ssh agent of $name', (person) => {
  const keyPair = async (directory: string, name: string, passphrase = ''): Promise<string> => {
    succeeded(
      await person.run([
        'ssh-keygen',
        '-q',
        '-t',
        'ed25519',
        '-N',
        passphrase,
        '-C',
        name,
        '-f',
        join(directory, name),
      ]),
    );
    return join(directory, name);
  };

  const withSshAdd = (text: string): Workspace => {
    const space = project(person, `COPY host /\n${text}`);
    sshAddIn(space.context);
    return space;
  };

  /** Builds beside an agent that holds the key. */
  const build = async (space: Workspace, key: string, args: readonly string[]) =>
    person.run([
      'sh',
      '-c',
      'eval "$(ssh-agent)" >/dev/null; ssh-add -q "$0"; "$@"; status=$?; kill $SSH_AGENT_PID; exit $status',
      key,
      ...[process.execPath, inject('installed'), '--root', space.store, 'build', '--progress', 'plain', ...args],
      space.context,
    ]);

  it('answers in a step, to root and to the user whom the socket belongs to (8.4 #111)', async () => {
    const space = withSshAdd(
      [
        'RUN --mount=type=ssh ssh-add -l && ls -ln $SSH_AUTH_SOCK && echo $SSH_AUTH_SOCK',
        'USER 1000:1000',
        'RUN --mount=type=ssh,uid=1000,target=/tmp/agent,mode=0600 id -u && ssh-add -l',
        'RUN --mount=type=ssh ssh-add -l 2>&1 || echo refused',
        'ENV SSH_AUTH_SOCK=/mine\nRUN --mount=type=ssh echo $SSH_AUTH_SOCK',
        'RUN test ! -e /run/buildkit -a ! -e /tmp/agent && echo nothing left',
      ].join('\n'),
    );
    const key = await keyPair(person.directory(), 'my-key');
    const { stderr } = succeeded(await build(space, key, ['--ssh', 'default']));
    expect(stderr.match(/\| 256 SHA256:\S+ my-key \(ED25519\)/g)).toHaveLength(2);
    expect(stderr).toMatch(/srw------- +1 0 +0 .*ssh_agent\.0\n.*\| \/run\/buildkit\/ssh_agent\.0\n/);
    for (const line of ['1000', 'refused', '/mine', 'nothing left']) expect(stderr).toContain(`| ${line}\n`);
  });

  it('is started for a key in a file, and ends with the build', async () => {
    const space = withSshAdd('RUN --network=none --mount=type=ssh,id=deploy,required ssh-add -l');
    const key = await keyPair(person.directory(), 'deploy-key');
    const { stderr } = succeeded(await space.tryBuild(['--progress', 'plain', '--ssh', `deploy=${key}`]));
    expect(stderr).toContain('deploy-key (ED25519)');
    await sleep(500);
    expect(processTexts().filter((text) => text.includes('ssh-agent') && text.includes(key))).toEqual([]);
  });

  it('is an error where it is required and missing, or where its key has a passphrase', async () => {
    const space = withSshAdd('RUN --mount=type=ssh,required ssh-add -l');
    const without = await space.tryBuild();
    expect(without).toMatchObject({ status: 5 });
    expect(without.stderr).toContain('The ssh agent "default" is required and was not given\n  --> Containerfile:3:13');
    const locked = await keyPair(person.directory(), 'locked', 'passphrase');
    const { stderr } = await space.tryBuild(['--ssh', `default=${locked}`]);
    expect(stderr).toContain('Cannot give the keys of "default" to an agent: a key has a passphrase');
    expect((await space.tryBuild(['--ssh', 'default=/nowhere'])).stderr).toContain('"/nowhere" for the ssh agent');
  });

  it('that nobody gave is no socket', async () => {
    await project(person, 'RUN --mount=type=ssh test -z "$SSH_AUTH_SOCK" && test ! -e /run/buildkit').build();
  });
});
