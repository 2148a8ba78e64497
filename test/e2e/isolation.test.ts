import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { callProgram } from '../support/call-program.ts';
import { canContain } from '../support/container.ts';
import { hasBase, type Outcome, type Person, people, peopleWithOneId, rootInContainer } from '../support/person.ts';
import { requires } from '../support/requires.ts';
import { inspect, succeeded, workspace } from '../support/workspace.ts';
import { answersOf, type Probe, type ProbePlace, probeFiles, probesFor, type Rung } from './isolation-probes.ts';

const BASE = inject('base');
const ISOLATIONS = ['builtin', 'oci'] as const;

interface ProbeSetting extends ProbePlace {
  readonly person: Person;
}

interface Place {
  readonly person: Person;
  readonly who: string;
  readonly isolation: (typeof ISOLATIONS)[number];
}

const isPossible =
  hasBase() &&
  requires('x86_64, for programs of machine code', process.arch === 'x64') &&
  requires('runc', existsSync('/usr/sbin/runc') || existsSync('/usr/bin/runc'));
const places: readonly Place[] = people().flatMap((person) =>
  ISOLATIONS.map((isolation) => ({ person, who: person.name, isolation })),
);

/** What the step of that number has printed. */
const printedBy = ({ stderr }: Outcome, step: number): string =>
  stderr
    .split('\n')
    .flatMap((line) => (line.startsWith(`#${step} | `) ? [line.slice(`#${step} | `.length)] : []))
    .join('\n');

const isMet = ({ gets }: Probe, answer: string): boolean =>
  typeof gets === 'string' ? answer === gets : gets.test(answer);

/** Starts a process outside of the step, in the container where there is one, with a number that no process of a step has. */
async function startOutside(person: Person, rung: Rung): Promise<number> {
  if (rung !== 'd' && rung !== 'e') return process.pid;
  const script = 'i=0; while [ $i -lt 1000 ]; do (:); i=$((i+1)); done; sleep 300 >/dev/null 2>&1 & echo $!';
  return Number(succeeded(await person.run(['sh', '-c', script])).stdout);
}

const contained = (['default', 'unconfined'] as const).flatMap((kind) =>
  isPossible && requires('runc, for a container', canContain()) ? [{ kind, ...rootInContainer(kind) }] : [],
);

/** Everybody who builds, and with what. */
const settings: readonly ProbeSetting[] = isPossible
  ? [
      ...people().flatMap((person) =>
        ISOLATIONS.map((isolation) => ({ person, isolation, rung: person.isRoot ? ('a' as const) : ('b' as const) })),
      ),
      ...peopleWithOneId().map((person) => ({ person, isolation: 'builtin' as const, rung: 'c' as const })),
      ...contained.map(({ kind, person }) =>
        kind === 'default'
          ? { person, isolation: 'chroot' as const, rung: 'd' as const }
          : { person, isolation: 'builtin' as const, rung: 'e' as const },
      ),
    ]
  : [];

describe.runIf(isPossible).each(settings)('a step on rung $rung with --isolation $isolation', (setting) => {
  it('gets what it must get, whatever it tries', async () => {
    const { person, rung, isolation } = setting;
    const outside = person.directory();
    person.write(outside, { 'outside.txt': 'of the host' });
    const host = { file: `${outside}/outside.txt`, directory: person.home, pid: await startOutside(person, rung) };
    const probes = probesFor({ rung, isolation });
    expect(probes.length).toBeGreaterThan(rung === 'd' ? 55 : 70);
    const containerfile = `FROM ${BASE}\nCOPY . /probes/\nRUN sh /probes/probes.sh\n`;
    const store = rung === 'd' || rung === 'e' ? { store: '/var/lib/tsbuild' } : {}; // on the container's own root
    const space = workspace(person, { containerfile, ...store });
    for (const [name, content] of Object.entries(probeFiles(probes, host)))
      writeFileSync(`${space.context}/${name}`, content, { mode: 0o755 });
    const outcome = await space.build(['--isolation', isolation, '--no-cache'], { env: { HOST_MARK: 'seen' } });
    const line = /^Sandbox on rung ./m.exec(outcome.stderr)?.[0];
    expect(line).toBe('cde'.includes(rung) ? `Sandbox on rung ${rung}` : undefined);
    const answers = answersOf(printedBy(outcome, 2));
    const failures = probes
      .map((probe, index) => ({ ...probe, got: answers.get(index) ?? 'nothing' }))
      .filter((probe) => !isMet(probe, probe.got));
    expect(failures.map(({ name, gets, got }) => ({ name, gets: String(gets), got }))).toEqual([]);
  });
});

afterAll(() => {
  for (const { stop } of contained) stop();
});

const PROFILE = {
  defaultAction: 'SCMP_ACT_ALLOW',
  syscalls: [
    { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 },
    { names: ['chroot'], action: 'SCMP_ACT_KILL_PROCESS' },
  ],
};

describe.runIf(isPossible).each(places)('a step of $who with --isolation $isolation', ({ person, isolation }) => {
  const args = ['--isolation', isolation, '--no-cache'];
  const project = (text: string, files: Readonly<Record<string, string | Buffer>> = {}) => {
    const space = workspace(person, { containerfile: `FROM ${BASE}\n${text}\n` });
    for (const [name, content] of Object.entries(files))
      writeFileSync(`${space.context}/${name}`, content, { mode: 0o755 });
    return space;
  };

  it('leaves no process to the next step or the machine, and is alone without a network', async () => {
    const script = [
      'RUN sleep 98765 & (setsid sleep 98766 >/dev/null 2>&1 &); sleep 0.1',
      'RUN ps | grep -c "[s]leep 9876" || true',
      'RUN --network=none tail -n +3 /proc/net/dev | cut -d: -f1; grep -c @ /proc/net/unix; ip -4 addr show lo | grep -c 127.0.0.1',
      'USER 1000:1000',
      'RUN grep -E "^Cap(Prm|Eff|Bnd|Amb)" /proc/self/status | cut -f2; mknod /tmp/x c 1 3; chown 0 /tmp',
    ].join('\n');
    const outcome = await project(`${script} || true`).build(args);
    expect(printedBy(outcome, 2)).toBe('0');
    expect(printedBy(outcome, 3).split('\n')).toEqual(['    lo', '0', '1']);
    const [permitted, effective, bounding, ambient, ...errors] = printedBy(outcome, 4).split('\n');
    const none = '0000000000000000';
    expect([permitted, effective, bounding, ambient]).toEqual([none, none, '00000000a80425fb', none]);
    expect(errors.join('\n').match(/not permitted/g)?.length).toBe(2);
    expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toMatch(/^sleep 9876/m);
  });

  it('has what the options say', async () => {
    const script =
      'RUN grep -E "^(CapEff|NoNewPrivs)" /proc/self/status | cut -f2; hostname; ulimit -c; ulimit -n; mount -t tmpfs x /mnt 2>&1 | grep -c "permitted\\|denied"';
    const options = ['--cap-drop=ALL', '--cap-add=chown,SETUID', '--security-opt=no-new-privileges'];
    const more = ['--hostname=box', '--ulimit=core=0', '--ulimit=nofile=64:128'];
    const outcome = await project(script).build([...args, ...options, ...more]);
    expect(printedBy(outcome, 1).split('\n')).toEqual(['0000000000000081', '1', 'box', '0', '64', '1']);
  });

  it('has the filter that it is given, or none, and an empty keyring then', async () => {
    const read = callProgram([{ number: 250, args: [11, -3n, 0, 0] }]); // KEYCTL_READ
    const script =
      'COPY keys /keys\nRUN exec 2>&1; /keys; echo $?; grep ^Seccomp: /proc/self/status; mkdir /made; chroot / true; echo $?';
    const space = project(script, { keys: read, 'profile.json': JSON.stringify(PROFILE) });
    const none = await space.build([...args, '--security-opt=seccomp=unconfined']);
    expect(printedBy(none, 2)).toMatch(/^\d+\nSeccomp:\t0\n0$/);
    const own = await space.build([...args, `--security-opt=seccomp=${space.context}/profile.json`]);
    expect(printedBy(own, 2)).toMatch(/Seccomp:\t2\n.*Permission denied\nBad system call\n159$/);
  });

  it('is ended when its time is over', async () => {
    const { status, stderr } = await project('RUN sleep 45').tryBuild([...args, '--timeout=1s']);
    expect([status, stderr]).toEqual([5, expect.stringContaining('RUN took longer than 1 s: sleep 45')]);
  });
});

const EVERY_MOUNT = `
RUN echo one > /one
FROM ${BASE}
RUN chown 7 /tmp
USER 7:8
WORKDIR /home/w
RUN --mount=type=bind,from=one,source=/one,target=/x/one --mount=type=cache,target=/c,uid=7 \\
    --mount=type=secret,id=s,uid=7 --mount=type=secret,id=s,env=SEC --mount=type=tmpfs,target=/t,size=1m <<EOS
echo made > made; cat /x/one /run/secrets/s; echo; echo "$SEC"; touch /c/f /t/f && touch /x/one; pwd; id -u
EOS
`;

describe.runIf(isPossible).each(people())('a step of $name', (person) => {
  it('gets the same mounts and leaves the same layer with each isolation', async () => {
    const space = workspace(person, { containerfile: `FROM ${BASE} AS one${EVERY_MOUNT}` });
    const build = async (isolation: string) => {
      const options = ['--isolation', isolation, '--no-cache', '--timestamp=0', '--secret=id=s,env=S', '-t', isolation];
      const outcome = await space.build(options, { env: { S: 'secret' } });
      const printed = printedBy(outcome, 3).split('\n').toSorted();
      return { printed, layers: (await inspect(space, isolation)).RootFS.Layers };
    };
    const builtin = await build('builtin');
    expect(builtin.printed).toEqual([
      '/home/w',
      '7',
      'one',
      'secret',
      'secret',
      'touch: /x/one: Read-only file system',
    ]);
    expect(await build('oci')).toEqual(builtin);
  });
});

it('says which isolation and runtime cannot be used, and why', async () => {
  const [person] = people();
  if (person === undefined || !hasBase()) return;
  const space = workspace(person, { containerfile: `FROM ${BASE}\nRUN true\n` });
  const missing = await space.tryBuild(['--isolation=oci', '--runtime=/nowhere/runc']);
  expect([missing.status, missing.stderr]).toEqual([2, expect.stringContaining('there is no such program')]);
  const chroot = await space.tryBuild(['--isolation=chroot']);
  expect([chroot.status, chroot.stderr]).toEqual([3, expect.stringContaining('only\nnext: ')]);
  const broken = await space.tryBuild(['--isolation=oci', '--runtime=/bin/false']);
  expect([broken.status, broken.stderr]).toEqual([6, expect.stringContaining('Cannot use --isolation oci')]);
});
