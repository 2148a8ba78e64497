import { afterAll, describe, expect, inject, it } from 'vitest';
import { canContain } from '../support/container.ts';
import { hasBase, type Person, people, rootInContainer } from '../support/person.ts';
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

describe.runIf(hasBase())('the ladder of sandboxes', () => {
  const containers = (['default', 'unconfined'] as const).flatMap((kind) =>
    requires('runc, for a container', canContain()) ? [{ kind, ...rootInContainer(kind) }] : [],
  );
  afterAll(() => {
    for (const { stop } of containers) stop();
  });

  it('has twenty Containerfiles', () => expect(Object.keys(RUNG_BUILDS)).toHaveLength(20));

  it('gives the same layers on every rung (d: root in a default container, e: with namespaces)', {
    timeout: 600_000,
  }, async () => {
    const found: Record<string, Built> = {};
    for (const person of people()) found[person.name] = await buildAll(person);
    for (const { kind, person } of containers) found[kind] = await buildAll(person, '/var/lib/tsbuild');
    const [first] = Object.values(found);
    expect(Object.values(first?.layers ?? {}).flat().length).toBeGreaterThan(60);
    for (const [name, { layers }] of Object.entries(found))
      expect({ name, layers }).toEqual({ name, layers: first?.layers });
    expect(found.root?.messages).toEqual([]);
    expect(found.default?.messages).toEqual([expect.stringContaining('Sandbox on rung d: root in a container')]);
    expect(found.unconfined?.messages).toEqual([expect.stringContaining('Sandbox on rung e: in namespaces')]);
  });
});
