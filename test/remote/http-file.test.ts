import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type FileServer, serveFiles } from '../support/file-server.ts';
import { testSources } from './sources.ts';

const MODIFIED = 'Wed, 21 Oct 2015 07:28:00 GMT';
const checksum = (text: string, algorithm = 'sha256'): string =>
  `${algorithm}:${createHash(algorithm).update(text).digest('hex')}`;
const count = ({ requests }: FileServer): number => requests.length;

describe('a file behind a URL', () => {
  it('has mode 0600 and the time that Last-Modified says (8.3 #85)', async () => {
    const server = await serveFiles({ '/a.txt': { body: 'text', headers: { 'last-modified': MODIFIED } } });
    const directory = await testSources()
      .nextBuild()
      .file({ url: `${server.url}/a.txt`, name: 'a.txt' });
    const { mode, mtimeMs } = statSync(join(directory, 'a.txt'));
    expect(mode & 0o7777).toBe(0o600);
    expect(mtimeMs).toBe(Date.parse(MODIFIED));
    expect(readdirSync(directory)).toEqual(['a.txt']);
  });

  it.each([undefined, 'yesterday'])('has the time 0 where Last-Modified is %s (8.3 #85)', async (modified) => {
    const headers: Record<string, string> = modified === undefined ? {} : { 'last-modified': modified };
    const server = await serveFiles({ '/a': { body: 'text', headers } });
    const directory = await testSources()
      .nextBuild()
      .file({ url: `${server.url}/a`, name: 'a' });
    expect(statSync(join(directory, 'a')).mtimeMs).toBe(0);
  });

  it('is found behind redirects, and keeps its name (8.3 #85)', async () => {
    const server = await serveFiles({
      '/old': { status: 301, headers: { location: '/newer' } },
      '/newer': { status: 307, headers: { location: '/newest?x=1' } },
      '/newest': { body: 'text' },
    });
    const directory = await testSources()
      .nextBuild()
      .file({ url: `${server.url}/old`, name: 'old' });
    expect(readFileSync(join(directory, 'old'), 'utf8')).toBe('text');
    expect(server.requests.map(({ url }) => url)).toEqual(['/old', '/newer', '/newest?x=1']);
  });

  it('is given up after ten redirects (8.3 #85)', async () => {
    const server = await serveFiles({ '/loop': { status: 302, headers: { location: '/loop' } } });
    await expect(
      testSources()
        .nextBuild()
        .file({ url: `${server.url}/loop`, name: 'loop' }),
    ).rejects.toMatchObject({
      code: 'E_REMOTE',
      message: expect.stringMatching(/^Cannot fetch ".*\/loop": .*more than 10 redirects$/),
    });
    expect(count(server)).toBe(11);
  });

  it('does not tell another host the credentials of the URL', async () => {
    const other = await serveFiles({ '/b': { body: 'text' } });
    const server = await serveFiles({ '/a': { status: 302, headers: { location: `${other.url}/b` } } });
    const url = server.url.replace('http://', 'http://me:pa%40ss@');
    await testSources()
      .nextBuild()
      .file({ url: `${url}/a`, name: 'a' });
    expect(server.requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:pa@ss').toString('base64')}`);
    expect(other.requests[0]?.headers.authorization).toBeUndefined();
  });

  it('is asked for with the header that the caller has for its host', async () => {
    const server = await serveFiles({ '/a': { body: 'text' } });
    const sources = testSources().nextBuild({ authorization: ({ hostname }, use) => `${use} ${hostname}` });
    await sources.file({ url: `${server.url}/a`, name: 'a' });
    expect(server.requests[0]?.headers.authorization).toBe('http 127.0.0.1');
  });

  it.each([
    [404, 'E_NOT_FOUND'],
    [410, 'E_NOT_FOUND'],
    [401, 'E_UNAUTHORIZED'],
    [403, 'E_DENIED'],
    [400, 'E_REMOTE'],
    [204, 'E_REMOTE'],
  ])(
    'that is answered with %i is an error that names URL and status, without its secrets (8.3 #85)',
    async (status, code) => {
      const server = await serveFiles({ '/a': { status } });
      const url = `${server.url.replace('http://', 'http://me:secret@')}/a?token=secret`;
      const failure = await testSources()
        .nextBuild()
        .file({ url, name: 'a' })
        .catch((error: unknown) => error);
      expect(failure).toMatchObject({
        code,
        message: `Cannot fetch "${server.url}/a?...": the server answered ${status}`,
      });
      expect(JSON.stringify(failure) + String(failure)).not.toContain('secret');
      expect(count(server)).toBe(1);
    },
  );

  it('is asked for again when the server is busy, as late as it says', async () => {
    const server = await serveFiles({
      '/a': (_, nth) =>
        nth < 3 ? { status: nth === 1 ? 503 : 429, headers: { 'retry-after': '7' } } : { body: 'text' },
    });
    const { nextBuild, sleeps } = testSources();
    const directory = await nextBuild().file({ url: `${server.url}/a`, name: 'a' });
    expect(readFileSync(join(directory, 'a'), 'utf8')).toBe('text');
    expect(sleeps.map((ms) => Math.floor(ms / 1000))).toEqual([7, 7]);
  });

  it('goes on where the connection broke', async () => {
    const body = 'x'.repeat(100_000) + 'y'.repeat(100_000);
    const headers = { etag: '"1"' };
    const server = await serveFiles({
      '/a': ({ headers: { range } }, nth) => {
        if (nth === 1) return { body, headers, dropAfter: 150_000 };
        const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1]);
        return {
          status: 206,
          body: body.slice(from),
          headers: { ...headers, 'content-range': `bytes ${from}-199999/200000` },
        };
      },
    });
    const directory = await testSources()
      .nextBuild()
      .file({ url: `${server.url}/a`, name: 'a', checksum: checksum(body) });
    expect(readFileSync(join(directory, 'a'), 'utf8')).toBe(body);
    expect(server.requests[1]?.headers).toMatchObject({ 'if-range': '"1"' });
  });

  it('starts from its beginning where the server cannot go on', async () => {
    const server = await serveFiles({
      '/a': (_, nth) => (nth < 3 ? { body: 'old'.repeat(1000), dropAfter: 500 * nth } : { body: 'new' }),
    });
    const directory = await testSources()
      .nextBuild()
      .file({ url: `${server.url}/a`, name: 'a' });
    expect(readFileSync(join(directory, 'a'), 'utf8')).toBe('new');
  });

  it('leaves nothing behind when it cannot be had whole', async () => {
    const server = await serveFiles({ '/a': { body: 'text', dropAfter: 2 } });
    const { nextBuild, directory, ingest } = testSources();
    await expect(nextBuild().file({ url: `${server.url}/a`, name: 'a' })).rejects.toMatchObject({
      code: 'E_UNAVAILABLE',
    });
    expect(existsSync(directory) ? readdirSync(directory) : []).toEqual([]);
    expect(readdirSync(ingest)).toEqual([]);
  });

  it('takes its time', async () => {
    const server = await serveFiles({ '/a': { body: 'slow text', pause: 300 } });
    const directory = await testSources()
      .nextBuild()
      .file({ url: `${server.url}/a`, name: 'a' });
    expect(readFileSync(join(directory, 'a'), 'utf8')).toBe('slow text');
  });

  it('stops when the build is cancelled', async () => {
    const server = await serveFiles({ '/a': { body: 'slow text', pause: 60_000 } });
    const controller = new AbortController();
    const { nextBuild, ingest } = testSources();
    const fetching = nextBuild({ signal: controller.signal }).file({ url: `${server.url}/a`, name: 'a' });
    setTimeout(() => controller.abort(), 200);
    await expect(fetching).rejects.toMatchObject({ code: 'E_CANCELLED' });
    expect(readdirSync(ingest)).toEqual([]);
  });
});

describe('a file that was fetched before', () => {
  it('is asked for by its ETag at the next build (8.3 #85)', async () => {
    const server = await serveFiles({
      '/a': ({ headers }) =>
        headers['if-none-match'] === '"1"' ? { status: 304 } : { body: 'text', headers: { etag: '"1"' } },
    });
    const { nextBuild } = testSources();
    const first = await nextBuild().file({ url: `${server.url}/a`, name: 'a' });
    const second = await nextBuild().file({ url: `${server.url}/a`, name: 'a' });
    expect(second).toBe(first);
    expect(count(server)).toBe(2);
    expect(readFileSync(join(second, 'a'), 'utf8')).toBe('text');
  });

  it('is asked for by Last-Modified where there is no ETag, unless that is too fresh to tell', async () => {
    const fresh = new Date().toUTCString();
    const server = await serveFiles({
      '/old': { body: 'text', headers: { 'last-modified': MODIFIED } },
      '/new': { body: 'text', headers: { 'last-modified': fresh } },
    });
    const { nextBuild } = testSources();
    for (const name of ['old', 'new', 'old', 'new']) await nextBuild().file({ url: `${server.url}/${name}`, name });
    expect(server.requests.map(({ headers }) => headers['if-modified-since'])).toEqual([
      undefined,
      undefined,
      MODIFIED,
      undefined,
    ]);
  });

  it('is replaced when it changed', async () => {
    const server = await serveFiles({ '/a': { body: 'old', headers: { etag: '"1"' } } });
    const { nextBuild } = testSources();
    await nextBuild().file({ url: `${server.url}/a`, name: 'a' });
    server.answers.set('/a', { body: 'new', headers: { etag: '"2"' } });
    const directory = await nextBuild().file({ url: `${server.url}/a`, name: 'a' });
    expect(readFileSync(join(directory, 'a'), 'utf8')).toBe('new');
  });

  it('is not used when the server cannot be asked', async () => {
    const server = await serveFiles({ '/a': { body: 'text', headers: { etag: '"1"' } } });
    const { nextBuild } = testSources();
    await nextBuild().file({ url: `${server.url}/a`, name: 'a' });
    server.answers.set('/a', { status: 500 });
    await expect(nextBuild().file({ url: `${server.url}/a`, name: 'a' })).rejects.toMatchObject({
      code: 'E_UNAVAILABLE',
    });
  });

  it('is fetched once a build, also by the run that it is handed to', async () => {
    const server = await serveFiles({ '/a': { body: 'text' } });
    const { nextBuild } = testSources();
    const build = nextBuild();
    const source = { url: `${server.url}/a`, name: 'a' };
    const [first, second] = await Promise.all([build.file(source), build.file(source)]);
    const inner = nextBuild({ fetched: build.handOver() });
    expect(await inner.file(source)).toBe(first);
    expect(second).toBe(first);
    expect(count(server)).toBe(1);
  });
});

describe('a checksum', () => {
  it.each(['sha256', 'sha384', 'sha512'])(
    'of %s lets a kept file be used without a request (8.3 #85)',
    async (algorithm) => {
      const server = await serveFiles({ '/a': { body: 'text' } });
      const { nextBuild } = testSources();
      const source = { url: `${server.url}/a`, name: 'a', checksum: checksum('text', algorithm) };
      const first = await nextBuild().file(source);
      expect(await nextBuild().file(source)).toBe(first);
      expect(count(server)).toBe(1);
    },
  );

  it('that does not match is an error with both values, and nothing is kept (8.3 #85)', async () => {
    const server = await serveFiles({ '/a': { body: 'text' } });
    const { nextBuild, directory, ingest } = testSources();
    const source = { url: `${server.url}/a`, name: 'a', checksum: checksum('other') };
    await expect(nextBuild().file(source)).rejects.toMatchObject({
      code: 'E_DIGEST_MISMATCH',
      exitCode: 8,
      message: `Cannot use "${server.url}/a": its checksum is ${checksum('text')}, expected ${checksum('other')}`,
    });
    expect(existsSync(directory) ? readdirSync(directory) : []).toEqual([]);
    expect(readdirSync(ingest)).toEqual([]);
  });
});
