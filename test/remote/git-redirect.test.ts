import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { hasGit, serveGit } from '../support/git-server.ts';
import { testSources } from './sources.ts';

const TREE = { keepGitDir: false, submodules: true } as const;

/** A server that answers each request with this. */
async function answering(status: number, headers: (path: string) => Record<string, string>): Promise<string> {
  const server = createServer((request, response) => response.writeHead(status, headers(request.url ?? '')).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  return `http://127.0.0.1:${port}`;
}

describe.runIf(hasGit())('a git server that leads elsewhere', () => {
  it('is followed without credentials only: git would take them along', async () => {
    const server = await serveGit();
    server.repository('app').commit();
    const moved = await answering(302, (path) => ({ location: `${server.url}${path}` }));
    const sources = testSources();
    const url = `${moved}/app.git`;
    await expect(sources.nextBuild({ authorization: () => 'Bearer x' }).tree({ ...TREE, url })).rejects.toMatchObject({
      code: 'E_REMOTE',
      hint: expect.stringContaining('credentials are not taken along'),
    });
    expect(server.requests).toEqual([]);
    await sources.nextBuild().tree({ ...TREE, url });
    expect(server.headers.authorization).toBeUndefined();
  });

  it('can be given up while it is waited for', async () => {
    const url = `${await answering(503, () => ({}))}/app.git`;
    const controller = new AbortController();
    const clock = {
      now: () => 0,
      random: () => 0,
      sleep: async (_: number, signal?: AbortSignal) => {
        controller.abort();
        signal?.throwIfAborted();
      },
    };
    const sources = testSources().nextBuild({ signal: controller.signal, clock });
    await expect(sources.tree({ ...TREE, url })).rejects.toMatchObject({ code: 'E_CANCELLED' });
  });
});
