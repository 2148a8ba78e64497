import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { CANARY, type Canary, holdsCanary, makeCanary } from '../support/canary.ts';
import { hasBase, type Outcome, people } from '../support/person.ts';
import { succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');

/** Exit statuses of errors that are said (docs/errors.md). */
const FAILED = [2, 3, 4, 5, 6, 7, 8];

/** One attack: what a hostile Containerfile, image or context tries, and what must come of it. */
interface Attack {
  readonly shape: string;
  /** Below `FROM BASE AS base`; `@HOST@` is the directory of the canary on the host. */
  readonly text: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Made in the context: name to target. */
  readonly links?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Default: well. `either way`: a race decides. */
  readonly ends?: 'badly' | 'either way';
  /** What is printed. */
  readonly says?: RegExp;
  /** Paths that the image has, or with `!` has not. */
  readonly image?: readonly string[];
}

/**
 * Beside what other suites show: hostile layers (layers/apply), archives (executor/add-archive), contexts that change while they
 * are read (executor/source-races), PID 1 and descriptors as program or directory (executor/sandbox), targets of mounts
 * (e2e/mounts), contexts that are archives (e2e/remote), agents and secrets (e2e/secrets).
 */
const ATTACKS: readonly Attack[] = [
  {
    shape: 'CVE-2024-1753: a mount whose source is a link to /',
    text: 'RUN ln -s / /all\nFROM base\nRUN --mount=type=bind,from=base,source=/all,target=/m,rw cat /m@HOST@/secret; touch /m/etc/made; ls -d /m/etc/passwd /m/all',
    ends: 'either way',
    says: /No such file or directory/,
    image: ['!etc/made'],
  },
  {
    shape: 'CVE-2024-1753: a mount whose source climbs',
    text: 'FROM base\nRUN --mount=type=bind,from=base,source=../../../../..@HOST@,target=/m ls /m',
    ends: 'badly',
    says: /Cannot mount/,
  },
  {
    shape: 'CVE-2024-9407: an option of the mount that lets mounts through',
    text: 'FROM base\nRUN --mount=type=bind,from=base,source=/,target=/m,bind-propagation=shared ls /m',
    ends: 'badly',
    says: /bind-propagation/,
  },
  {
    shape: 'CVE-2024-9675: a cache whose id climbs',
    text: 'RUN --mount=type=cache,id=../../../../../../..@HOST@,target=/m touch /m/made; ls -a /m',
    image: ['!m/made'],
  },
  {
    shape: 'CVE-2024-9675: a cache whose source climbs',
    text: 'RUN --mount=type=cache,source=../../../../../../..@HOST@,target=/m ls /m',
    ends: 'badly',
    says: /Cannot mount/,
  },
  {
    shape: 'CVE-2024-23651: the source in a shared cache becomes a link while it is mounted',
    text: [
      'RUN --mount=type=cache,id=race,target=/c mkdir -p /c/s/sub && ln -sfn @HOST@ /c/l',
      'FROM base AS swap',
      'RUN --mount=type=cache,id=race,target=/c i=0; while [ $i -lt 4000 ]; do mv /c/s /c/t; mv /c/l /c/s; mv /c/s /c/l; mv /c/t /c/s; i=$((i+1)); done',
      'FROM base',
      ...[1, 2, 3].map(
        (n) => `RUN --mount=type=cache,id=race,source=s/sub,target=/v ls -R /v; cat /v/secret; true # ${n}`,
      ),
      'COPY --from=swap /etc/hostname* /',
    ].join('\n'),
    args: ['--jobs', '2'],
    ends: 'either way',
  },
  {
    shape: 'CVE-2024-23652: the parent of a stub becomes a link before the stub is taken away',
    text: 'RUN --mount=type=tmpfs,target=/a@HOST@/empty mv /a /z; ln -s / /a; ls -ld /a',
    image: ['a', '!a/'],
  },
  {
    shape: 'CVE-2024-23652: the same by a process that the step leaves behind',
    text: 'RUN --mount=type=tmpfs,target=/a@HOST@/empty (sleep 0.2; mv /a /z; ln -s / /a) & true',
  },
  {
    shape: 'CVE-2024-23653: more rights for a step',
    text: 'RUN --security=insecure id',
    ends: 'badly',
    says: /insecure/,
  },
  {
    shape: 'GHSA-5vpc-35f4-r8w6 (CVE-2024-11218): a stage that changes while another one mounts it',
    text: [
      'RUN mkdir -p /d/sub',
      'FROM base AS one',
      'RUN --mount=type=bind,from=base,source=/,target=/m,rw i=0; while [ $i -lt 500 ]; do mv /m/d /m/e; ln -s @HOST@ /m/d; rm /m/d; mv /m/e /m/d; i=$((i+1)); done; touch /one',
      'FROM base',
      'RUN --mount=type=bind,from=base,source=/d,target=/m,rw ls -R /m; cat /m/secret; touch /m/made; true',
      'COPY --from=one /one /',
    ].join('\n'),
    args: ['--jobs', '2'],
    says: /can't open '\/m\/secret'/,
  },
  {
    shape: 'CVE-2024-21626: WORKDIR is a descriptor that the program has open',
    text: 'WORKDIR /proc/self/fd/8\nRUN cat ../../../../..@HOST@/secret',
    ends: 'badly',
    says: /cannot enter the working directory/,
  },
  {
    shape: 'CVE-2019-5736: the command is the program that waits for it',
    text: 'RUN ["/proc/1/exe", "-c", "true"]',
    ends: 'badly',
    says: /permission denied/,
  },
  {
    shape: 'WORKDIR leads through a link out of the image',
    text: 'RUN ln -s @HOST@ /l\nWORKDIR /l/made\nRUN pwd > /where',
    image: ['where', '!l/made'],
  },
  {
    shape: 'COPY goes through a link out of the image',
    text: 'RUN ln -s @HOST@ /l && ln -s ../../../../../../..@HOST@/secret /m\nCOPY f /l/secret\nCOPY f /m\nRUN ls -l /l/secret',
    files: { f: 'of the context' },
  },
  {
    shape: 'COPY --from takes a link out of the stage',
    text: 'RUN ln -s @HOST@/secret /leak\nFROM base\nCOPY --from=base /leak /x',
    ends: 'badly',
    says: /no such file|Cannot copy/,
  },
  {
    shape: 'COPY --from goes through a directory link out of the stage',
    text: 'RUN ln -s ../../../../../..@HOST@ /dir\nFROM base\nCOPY --from=base /dir/secret /x',
    ends: 'badly',
  },
  {
    shape: 'COPY of a directory with links out keeps the links',
    text: 'COPY d /d/\nRUN readlink /d/leak; cat /d/leak/secret; true',
    links: { 'd/leak': '@HOST@' },
    says: /No such file/,
  },
  {
    shape: 'COPY takes a link out of the context',
    text: 'COPY leak /x',
    links: { leak: '@HOST@/secret' },
    ends: 'badly',
    says: /links are followed inside/,
  },
  {
    shape: 'COPY climbs out of the context',
    text: 'COPY ../../../../../..@HOST@/secret /x',
    ends: 'badly',
    says: /context/,
  },
  {
    shape: 'COPY matches names through a link out of the context',
    text: 'COPY leak/s* /x/',
    links: { leak: '@HOST@' },
    ends: 'badly',
  },
  {
    shape: '/etc/passwd is a link out of the image, for USER',
    text: 'RUN ln -sf @HOST@/passwd /etc/passwd\nUSER evil\nRUN id',
    ends: 'badly',
    says: /no user "evil"/,
  },
  {
    shape: '/etc/passwd is a fifo, for --chown',
    text: 'RUN rm -f /etc/passwd && mkfifo /etc/passwd\nCOPY --chown=evil f /x',
    files: { f: '' },
    ends: 'badly',
    says: /no user "evil"/,
  },
  {
    shape: '/etc/group is a link to a device without an end, for --chown',
    text: 'RUN ln -sf /dev/zero /etc/group\nCOPY --chown=0:evil f /x',
    files: { f: '' },
    ends: 'badly',
    says: /no group "evil"/,
  },
  {
    shape: '/etc/passwd is larger than any real one',
    text: 'RUN truncate -s 40M /etc/passwd\nUSER evil\nRUN id',
    ends: 'badly',
    says: /larger than/,
  },
  {
    shape: '/etc/resolv.conf and /etc/hosts are links out of the image',
    text: 'FROM scratch\nCOPY --from=base /bin /bin\nCOPY etc /etc\nRUN cat /etc/hosts /etc/resolv.conf > /seen; echo x >> /etc/hosts',
    links: { 'etc/hosts': '@HOST@/secret', 'etc/resolv.conf': '../../../../../..@HOST@/made' },
    ends: 'badly',
    says: /Read-only file system/,
  },
  {
    shape: 'the target of a mount goes through a link out of the image',
    text: 'RUN ln -s @HOST@ /l && ln -s ../../../..@HOST@/sub /m\nRUN --mount=type=tmpfs,target=/l/empty --mount=type=cache,target=/m/made touch /l/empty/x /m/made/x',
  },
  {
    shape: 'the target of a mount is a link into /proc',
    text: 'RUN ln -s /proc/sys/kernel /l\nRUN --mount=type=tmpfs,target=/l ls /l',
    ends: 'badly',
    says: /Cannot mount at "\/l": a link in the image leads to "\/proc\/sys\/kernel"/,
  },
  {
    shape: 'a secret is mounted through a link to a place that stays in the layer',
    text: 'RUN mkdir /keep && ln -s /keep /l\nRUN --mount=type=secret,id=s,target=/l/s test -s /keep/s',
    args: ['--secret', 'id=s,src=@HOST@/secret'],
    image: ['keep/', '!keep/s'],
  },
  {
    shape: 'git is made to run a command, by a transport',
    text: 'ADD ext::sh%20-c%20touch%20@HOST@/made.git /d',
    ends: 'badly',
  },
  {
    shape: 'git is made to run a command, by a host that looks like an option',
    text: 'ADD git@-oProxyCommand=touch@HOST@/made:x.git /d',
    ends: 'badly',
  },
  {
    shape: 'git is made to run a command, by a ref that looks like an option',
    text: 'ADD https://127.0.0.1:1/x.git#--upload-pack=touch@HOST@/made /d',
    ends: 'badly',
    says: /not the name of a branch/,
  },
  { shape: 'git reads a repository of the host', text: 'ADD file://@HOST@/x.git /d', ends: 'badly' },
  { shape: 'the base is a path of the host', text: 'FROM @HOST@', ends: 'badly', says: /@HOST@|Cannot read/ },
  {
    shape: 'an escape sequence in the output of a step reaches the terminal',
    text: "RUN printf '\\033[2J\\033]0;title\\007\\233 shown\\n'; printf '\\033]52;c;ZXZpbA==\\007' >&2; exit 3",
    ends: 'badly',
    says: /shown/,
  },
];

const inText = (text: string, { directory }: Canary): string => text.replaceAll('@HOST@', directory);

function prepare(space: Workspace, canary: Canary, { text, files = {}, links = {} }: Attack): void {
  space.write({ Containerfile: `FROM ${BASE} AS base\n${inText(text, canary)}\n`, ...files });
  for (const [name, target] of Object.entries(links)) {
    space.write({ [join(name, '..', '.keep')]: '' });
    symlinkSync(inText(target, canary), join(space.context, name));
  }
}

/** What the program prints drives no terminal: the only control characters are the ends of lines. */
function expectHarmless({ stdout, stderr }: Outcome): void {
  const control = [...`${stdout}${stderr}`].filter((character) => /[\p{Cc}\u202a-\u202e]/u.test(character));
  expect([...new Set(control)].filter((character) => character !== '\n' && character !== '\t')).toEqual([]);
}

describe.runIf(hasBase()).each(people())('Against $name, a hostile build gets nowhere:', (person) => {
  const { store } = workspace(person);
  const canary = makeCanary(person);

  it.each(ATTACKS)('$shape', async (attack) => {
    const space = workspace(person, { store });
    prepare(space, canary, attack);
    const tar = join(space.context, '..', `${store.split('/').pop()}.tar`);
    const args = (attack.args ?? []).map((argument) => inText(argument, canary));
    const outcome = await space.tryBuild(['--progress', 'plain', ...args, '-o', `type=tar,dest=${tar}`]);
    const { ends = 'well', says, image = [] } = attack;
    // an error of this program: none that Node throws (1), and no signal
    const wanted = { well: [0], badly: FAILED, 'either way': [0, ...FAILED] }[ends];
    expect(wanted, outcome.stderr).toContain(outcome.status);
    if (says) expect(outcome.stderr).toMatch(new RegExp(inText(says.source, canary), says.flags));
    expect(`${outcome.stdout}${outcome.stderr}`).not.toContain(CANARY);
    expectHarmless(outcome);
    canary.check();
    if (outcome.status !== 0) return;
    expect(holdsCanary(tar)).toBe(false);
    const names = succeeded(await person.run(['tar', '-tf', tar])).stdout.split('\n');
    for (const path of image) {
      const absent = path.startsWith('!');
      expect(names.includes(absent ? path.slice(1) : path), path).toBe(!absent);
    }
  });
});
