import { afterAll, describe, expect, inject, it } from 'vitest';
import { canContain } from '../support/container.ts';
import { hasBase, type Person, people, peopleWithOneId, rootInContainer } from '../support/person.ts';
import { requires } from '../support/requires.ts';
import { workspace } from '../support/workspace.ts';
import { prepareRungContext, RUNG_BUILDS, rungContainerfile } from './rung-builds.ts';

interface BuildEvent {
  readonly type: string;
  readonly message?: string;
  readonly step?: string;
  readonly diffId?: string;
  readonly steps?: readonly { readonly id: string; readonly stage: string; readonly label: string }[];
}

interface Built {
  /** Stage -> the layers of its steps. */
  readonly layers: Readonly<Record<string, readonly string[]>>;
  readonly messages: readonly string[];
}

async function buildAll(person: Person, store?: string): Promise<Built> {
  const files = { f: 'f', Containerfile: rungContainerfile(inject('base')) };
  const space = workspace(person, { files, ...(store === undefined ? {} : { store }) });
  prepareRungContext(space.context);
  const env = { SOURCE_DATE_EPOCH: '1700000000' };
  const { stderr, stdout } = await space.tryBuild(['--progress', 'json'], { env, timeoutMs: 240_000 });
  const events: readonly BuildEvent[] = `${stderr}\n${stdout}`
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  expect(events.filter(({ type }) => type === 'error')).toEqual([]);
  const steps = events.find(({ type }) => type === 'plan')?.steps ?? [];
  const ids = new Map(events.flatMap(({ step, diffId }) => (step && diffId ? [[step, diffId]] : [])));
  const layers: Record<string, readonly string[]> = {};
  for (const { id, stage, label } of steps)
    layers[stage] = [...(layers[stage] ?? []), `${label.slice(0, 60)} ${ids.get(id)}`];
  return { layers, messages: events.flatMap(({ type, message }) => (type === 'info' && message ? [message] : [])) };
}

/** What no rung but d has to do without a mount or a namespace. */
const CHROOTED = `FROM ${inject('base')}
RUN (setsid sleep 987 &) ; sleep 986 & echo left
RUN echo mine > /etc/hosts; rm /etc/resolv.conf; mv /etc /etc2 && mv /etc2 /etc; ls /proc /sys | wc -w > /kernel
RUN --mount=type=cache,target=/cache echo kept > /cache/file && ln /cache/file /linked
RUN --mount=type=cache,target=/cache echo changed > /cache/file; cat /linked
RUN --mount=type=secret,id=s,env=SECRET test "$SECRET" = hidden
USER 65534
RUN id -u > /tmp/id; kill -9 -1 2>/dev/null; (echo x > /dev/null) && echo err > /dev/stderr
`;

describe.runIf(hasBase())('the ladder of sandboxes', () => {
  const containers = (['default', 'unconfined'] as const).flatMap((kind) =>
    requires('runc, for a container', canContain()) ? [{ kind, ...rootInContainer(kind) }] : [],
  );
  afterAll(() => {
    for (const { stop } of containers) stop();
  });

  it.runIf(containers.length > 0)(
    'cleans up after steps on rung d, and says what it cannot do',
    { timeout: 240_000 },
    async () => {
      const person = containers[0]?.person ?? people()[0];
      if (person === undefined) throw new Error('nobody builds');
      const space = workspace(person, { containerfile: CHROOTED, store: '/var/lib/chrooted' });
      const tar = `${space.context}/out.tar`;
      const env = { SECRET_VALUE: 'hidden' };
      const secret = ['--secret', 'id=s,env=SECRET_VALUE'];
      const { stderr } = await space.build([...secret, '-o', `type=tar,dest=${tar}`], { env, timeoutMs: 120_000 });
      expect(stderr).toMatch(/\| left[\s\S]*\| kept[\s\S]*\| err/);
      const { stdout } = await person.run([
        'sh',
        '-c',
        `cat /proc/[0-9]*/cmdline | tr '\\0' ' '; ls -A /var/lib/chrooted/active | wc -l`,
      ]);
      expect(stdout).not.toMatch(/sleep 98|sandbox-worker/);
      expect(stdout.trim()).toMatch(/ 0$/);
      const listed = (await person.run(['tar', '-tf', tar])).stdout;
      expect(listed).not.toMatch(/etc\/(hosts|resolv.conf)|etc2|dev\/\w|cache\/\w/);
      expect((await person.run(['tar', '-xOf', tar, 'kernel', 'linked', 'tmp/id'])).stdout).toBe('65534\nkept\n2\n');
      const refusals: Readonly<Record<string, string>> = {
        'RUN --network=none true': 'Cannot run a step without a network',
        'RUN --mount=type=secret,id=s true': 'as it would be written to a disk',
        'RUN --mount=type=tmpfs,target=/t,size=1m true': 'Cannot limit the size of the tmpfs',
      };
      for (const [text, message] of Object.entries(refusals)) {
        space.write({ Containerfile: `FROM ${inject('base')}\n${text}\n` });
        const failed = await space.tryBuild(secret, { env });
        expect(failed.status).toBe(6);
        expect(failed.stderr).toContain(message);
        expect(failed.stderr).toContain('rung d');
      }
    },
  );

  it('has twenty Containerfiles', () => expect(Object.keys(RUNG_BUILDS)).toHaveLength(20));

  it('gives the same layers on every rung (d: root in a default container, e: with namespaces)', {
    timeout: 600_000,
  }, async () => {
    const found: Record<string, Built> = {};
    for (const person of [...people(), ...peopleWithOneId()]) found[person.name] = await buildAll(person);
    for (const { kind, person } of containers) found[kind] = await buildAll(person, '/var/lib/tsbuild');
    const [first] = Object.values(found);
    expect(Object.values(first?.layers ?? {}).flat().length).toBeGreaterThan(60);
    for (const [name, { layers }] of Object.entries(found))
      expect({ name, layers }).toEqual({ name, layers: first?.layers });
    const said: Readonly<Record<string, readonly unknown[]>> = {
      root: [],
      default: [expect.stringContaining('Sandbox on rung d: root in a container')],
      unconfined: [expect.stringContaining('Sandbox on rung e: in namespaces')],
    };
    for (const [name, { messages }] of Object.entries(found)) expect(messages).toEqual(said[name] ?? messages);
  });
});
