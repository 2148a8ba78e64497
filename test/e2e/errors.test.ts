import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { storeImage } from '../support/registry-images.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { requires } from '../support/requires.ts';
import { succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');

/** After any failure: no half tag, no left-over, and the next build works. */
async function expectIntactStore(space: Workspace): Promise<void> {
  for (const name of ['ingest', 'active'])
    if (existsSync(`${space.store}/${name}`))
      expect({ name, left: readdirSync(`${space.store}/${name}`) }).toEqual({ name, left: [] });
  expect(succeeded(await space.tsbuild(['images'])).stdout).not.toContain('broken');
  space.write({ 'good.Containerfile': `FROM ${BASE}\nRUN echo good > /good\n` });
  await space.build(['-t', 'good', '-f', `${space.context}/good.Containerfile`]);
  expect(succeeded(await space.tsbuild(['images'])).stdout).toContain('localhost/good:latest');
}

interface Failure {
  readonly what: string;
  /** After `FROM base`, unless it begins with FROM. */
  readonly text: string;
  readonly status: number;
  /** What the user must find in the message. */
  readonly says: readonly (string | RegExp)[];
}

const FAILURES: readonly Failure[] = [
  { what: 'a syntax error', text: 'COPY a', status: 3, says: ['error[E_', '--> Containerfile:2:', '^', 'next: '] },
  {
    what: 'an unknown instruction',
    text: 'RUM echo',
    status: 3,
    says: ['E_UNKNOWN_INSTRUCTION', 'Containerfile:2:1', '"RUM"', 'RUN'],
  },
  {
    what: 'a flag that this builder will not have',
    text: 'RUN --device=vendor.com/gpu=all true',
    status: 3,
    says: ['Containerfile:2:5', '--device', 'Devices of the host'],
  },
  {
    what: 'a right that no step gets',
    text: 'RUN --security=insecure true',
    status: 3,
    says: ['E_UNSUPPORTED', 'Containerfile:2:16', '--security=insecure', 'next: '],
  },
  {
    what: 'a mount without a target',
    text: 'RUN --mount=type=cache,id=c true',
    status: 3,
    says: ['Containerfile:2:13', 'The mount has no target', 'next: '],
  },
  {
    what: 'COPY --link with a name',
    text: 'COPY --link --chown=app a /',
    status: 3,
    says: ['Containerfile:2:21', '"app"', '--link', 'next: Write numbers'],
  },
  {
    what: 'a missing source',
    text: 'COPY apl /',
    status: 4,
    says: ['E_NOT_IN_CONTEXT', 'Containerfile:2:', '"apl"', 'next: '],
  },
  {
    what: 'an ignored source',
    text: 'COPY secret /',
    status: 4,
    says: ['E_IGNORED_SOURCE', 'Containerfile:2:', '"secret"', '.containerignore', 'next: '],
  },
  { what: 'a source outside the context', text: 'COPY ../x /', status: 4, says: ['Containerfile:2:', '../x'] },
  {
    what: 'a failing step (8.4 #93)',
    text: 'RUN echo before; echo last words >&2; exit 7',
    status: 5,
    says: ['E_RUN_FAILED', 'exit status 7', 'Containerfile:2:1', 'last words', 'next: '],
  },
  {
    what: 'a killed step',
    text: 'RUN kill -9 $$',
    status: 5,
    says: [/SIGKILL|signal 9/, 'Containerfile:2:1', 'next: '],
  },
  {
    what: 'a command that is not there',
    text: 'RUN ["/no/such"]',
    status: 5,
    says: ['E_RUN_NOT_STARTED', '/no/such', 'Containerfile:2:1'],
  },
  {
    what: 'an unknown user',
    text: 'USER nobodyknows\nRUN true',
    status: 5,
    says: ['E_UNKNOWN_USER', '"nobodyknows"', 'Containerfile:', 'next: '],
  },
  {
    what: 'an unreachable registry',
    text: 'FROM 127.0.0.1:1/a/b',
    status: 7,
    says: ['E_UNAVAILABLE', '127.0.0.1:1', 'Containerfile:1:', 'next: '],
  },
  {
    what: 'an unknown tag',
    text: `FROM ${BASE.replace(/latest$/, 'nothing')}`,
    status: 7,
    says: ['E_NOT_FOUND', 'nothing', 'Containerfile:1:', 'next: '],
  },
  { what: 'a bad reference', text: 'FROM a//b', status: 2, says: ['E_BAD_REFERENCE', 'Containerfile:1:'] },
];

describe.runIf(hasBase()).each(people())('errors that $name sees', (person) => {
  const files = { a: 'a', secret: 's', '.containerignore': 'secret\n' };
  const servers: RegistryServer[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });

  // One store for all: what the one leaves behind, the next would find.
  const store = person.directory();
  it.each(FAILURES)('$what ends with $status, its place and cause', async ({ text, status, says }) => {
    const containerfile = text.startsWith('FROM') ? `${text}\n` : `FROM ${BASE}\n${text}\n`;
    const space = workspace(person, { containerfile, files, store });
    const outcome = await space.tryBuild(['-t', 'broken']);
    expect({ ...outcome, stderr: '' }, outcome.stderr).toEqual({ status, stdout: '', stderr: '' });
    for (const part of says) expect(outcome.stderr).toMatch(part);
    await expectIntactStore(space);
  });

  it('a damaged layer ends with 8 and both digests', async () => {
    const content = Buffer.alloc(300_000, 'layer');
    const server = await startRegistry({
      fault: ({ path }) => (path === stored.blobPath ? { body: Buffer.alloc(stored.blob.length, 'x') } : undefined),
    });
    servers.push(server);
    const stored = storeImage(server, { repository: 'me/damaged', tag: '1' }, content);
    const space = workspace(person, { containerfile: `FROM ${server.host}/me/damaged:1\nRUN true\n`, files });
    const outcome = await space.tryBuild(['-t', 'broken']);
    expect(outcome).toMatchObject({ status: 8, stdout: '' });
    expect(outcome.stderr).toContain('E_DIGEST_MISMATCH');
    expect(outcome.stderr).toContain('next: ');
    const pulled = await space.tsbuild(['pull', `${server.host}/me/damaged:1`]);
    expect(pulled).toMatchObject({ status: 8, stdout: '' });
    await expectIntactStore(space);
  });

  it('a manifest that is not what its digest says ends with 8', async () => {
    const server = await startRegistry({
      fault: ({ path }) => (path.includes('/manifests/sha256:') ? { body: Buffer.from('{}') } : undefined),
    });
    servers.push(server);
    const { manifest } = storeImage(server, { repository: 'me/other', tag: '1' }, Buffer.from('x'));
    const space = workspace(person, { containerfile: `FROM ${server.host}/me/other@${manifest.digest}\n`, files });
    const outcome = await space.tryBuild(['-t', 'broken']);
    expect(outcome).toMatchObject({ status: 8, stdout: '' });
    expect(outcome.stderr).toContain(manifest.digest);
    await expectIntactStore(space);
  });

  it('two builds at once on one store both succeed (8.5 #130)', async () => {
    const space = workspace(person, { containerfile: `FROM ${BASE}\nRUN sleep 0.3; echo 1 > /one\n`, files });
    const other = workspace(person, {
      containerfile: `FROM ${BASE}\nRUN sleep 0.3; echo 2 > /two\n`,
      store: space.store,
    });
    const env = { SOURCE_DATE_EPOCH: '1600000000' };
    const results = await Promise.all([
      space.build(['-q', '-t', 'same'], { env }),
      space.build(['-q', '-t', 'same'], { env }),
      other.build(['-q', '-t', 'other'], { env }),
    ]);
    expect(results[0]?.stdout).toBe(results[1]?.stdout);
    expect(results[2]?.stdout).not.toBe(results[1]?.stdout);
    await expectIntactStore(space);
  });
});

const canMount = process.getuid?.() === 0 && hasTmpfs();

function hasTmpfs(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe.runIf(hasBase() && requires('root that may mount a tmpfs', canMount)).each(people())(
  'a full disk of $name',
  (person) => {
    it.each([
      ['a step', `FROM ${BASE}\nRUN dd if=/dev/zero of=/big bs=1M count=40\n`, [5, 9]],
      ['a copied file', `FROM ${BASE}\nCOPY big /\nRUN true\n`, [9]],
    ])('ends %s with a clear error, and the store is intact', async (_name, containerfile, statuses) => {
      const store = person.directory();
      const owner = execFileSync('stat', ['-c', 'uid=%u,gid=%g', store], { encoding: 'utf8' }).trim();
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=16m,mode=755,${owner}`, 'tsbuild-test', store]);
      try {
        const space = workspace(person, { containerfile, store });
        execFileSync('dd', ['if=/dev/urandom', `of=${space.context}/big`, 'bs=1M', 'count=40'], { stdio: 'ignore' });
        const outcome = await space.tryBuild(['-t', 'broken']);
        expect(statuses, outcome.stderr).toContain(outcome.status);
        expect(outcome.stderr).toMatch(/[Nn]o space left|E_NO_SPACE/);
        expect(outcome.stderr).toContain('next: ');
        await expectIntactStore(space);
      } finally {
        execFileSync('umount', ['--lazy', store]);
      }
    });
  },
);
