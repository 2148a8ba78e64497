import { describe, expect, test } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { type MountSyntax, parseContainerfile } from '../../src/parser/index.ts';

function run(line: string) {
  const file = parseContainerfile({ name: 'Containerfile', text: `FROM a\n${line}\n` });
  const [instruction] = file.stages[0]?.instructions ?? [];
  if (instruction?.kind !== 'RUN') throw new Error('no RUN');
  return instruction;
}

const fieldsOf = ({ fields }: MountSyntax) => Object.fromEntries(fields.map(({ key, value }) => [key, value?.text]));

/** `CODE line:column-column message (hint)` */
function failure(line: string): string {
  try {
    run(line);
  } catch (error) {
    if (!(error instanceof BuildError) || !error.range) throw error;
    const { start, end } = error.range;
    return `${error.code} ${start.line}:${start.column}-${end.column} ${error.message} (${error.hint})`;
  }
  throw new Error('it parses');
}

describe('--mount is one CSV record', () => {
  test.each<[string, Record<string, string | undefined>]>([
    ['type=cache,target=/c', { type: 'cache', target: '/c' }],
    ['TYPE=bind,SRC=a,dst=/b,RO', { type: 'bind', source: 'a', target: '/b', readonly: undefined }],
    ['type=bind,destination=/b,rw=false', { type: 'bind', target: '/b', readwrite: 'false' }],
    [`'type=cache,"target=/a,b"'`, { type: 'cache', target: '/a,b' }],
    [`'type=cache,"id=say ""hi"""'`, { type: 'cache', id: 'say "hi"' }],
    ['type=tmpfs,target=/t,tmpfs-size=64m', { type: 'tmpfs', target: '/t', size: '64m' }],
    ['type=$T,target=$D/x', { type: '$T', target: '$D/x' }],
    ['target=/a=b', { target: '/a=b' }],
  ])('%s', (text, fields) => {
    expect(run(`RUN --mount=${text} true`).mounts.map(fieldsOf)).toEqual([fields]);
  });

  test('several stand in their order, beside other flags, over several lines (8.1 #30)', () => {
    const { mounts, network, command } = run(
      'RUN --mount=type=cache,target=/c \\\n  --network=none --mount=target=/m \\\n  cmd',
    );
    expect(mounts.map(fieldsOf)).toEqual([{ type: 'cache', target: '/c' }, { target: '/m' }]);
    expect(network?.text).toBe('none');
    expect(command).toMatchObject({ script: 'cmd' });
    expect(mounts[1]?.range.start).toEqual({ line: 3, column: 26 });
  });

  test('each field knows its place, where no quote was taken out before it', () => {
    const [mount] = run('RUN --mount=type=cache,target=/c true').mounts;
    expect(mount?.fields[1]?.range).toMatchObject({ start: { line: 2, column: 24 }, end: { line: 2, column: 33 } });
    expect(mount?.fields[1]?.value?.range).toMatchObject({ start: { column: 31 }, end: { column: 33 } });
    const [quoted] = run('RUN --mount="type=cache",target=/c true').mounts;
    expect(quoted?.fields[1]?.range).toEqual(quoted?.range);
  });
});

describe('A mount that cannot be read', () => {
  test.each([
    ['typ=cache,target=/x', 'E_PARSE 2:13-22 The mount has no key "typ" (Did you mean "type"?)'],
    ['target=/x,Souce=y', 'E_PARSE 2:23-30 The mount has no key "Souce" (Did you mean "source"?)'],
    ['target', 'E_PARSE 2:13-19 The mount\'s "target" has no value (Write target=VALUE)'],
    ['target=/x,', 'E_PARSE 2:23-24 The mount has an empty field (Keys: type,'],
    ['target=/x,z', 'E_UNSUPPORTED 2:23-24 The mount\'s "z" is not supported (Steps run without labels of SELinux'],
    ['target=/x,U', 'E_UNSUPPORTED 2:23-24 The mount\'s "U" is not supported (Use uid=, gid= and mode='],
    ['target=/x,relabel=shared', 'E_UNSUPPORTED 2:23-37 The mount\'s "relabel" is not supported'],
    ['target=/x,bind-propagation=rshared', 'E_UNSUPPORTED 2:23-47 '],
    [
      'target=/x,from=$base',
      "E_EXPANSION 2:28-33 Cannot use variables in the mount's from=$base (Give the image a stage",
    ],
    [
      `'target="/x'`,
      `E_PARSE 2:13-25 Cannot read the mount "target="/x": a quote is out of place (Quote a whole field`,
    ],
  ])('%s', (text, message) => {
    expect(failure(`RUN --mount=${text} true`)).toContain(message);
  });

  test('an own key of every object is no key either', () => {
    expect(failure('RUN --mount=constructor=x true')).toContain('The mount has no key "constructor"');
  });
});

describe('--security and --device', () => {
  test('the sandbox is accepted, as it is what happens', () => {
    expect(run('RUN --security=sandbox true').security?.text).toBe('sandbox');
  });

  test.each([
    ['--security=insecure', 'E_UNSUPPORTED 2:16-24 RUN --security=insecure is not supported (A step never gets more'],
    ['--security=sandbx', 'E_PARSE 2:16-22 RUN --security cannot be "sandbx" (Did you mean "sandbox"?)'],
    ['--device=vendor.com/gpu=0', 'E_UNSUPPORTED 2:5-30 RUN --device is not supported (Devices of the host'],
    ['--network=brdge', 'E_PARSE 2:15-20 RUN --network cannot be "brdge"'],
  ])('%s is refused with a reason', (flag, message) => {
    expect(failure(`RUN ${flag} true`)).toContain(message);
  });
});
