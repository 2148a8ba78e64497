import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { isLoopback, proxyFor } from '../../src/http/proxy.ts';
import { parseReference } from '../../src/oci/index.ts';
import { imageOf, layerOf, testClient } from '../support/registry-images.ts';
import { startRegistry } from '../support/registry-server.ts';

describe('choosing a proxy', () => {
  const settings = { httpProxy: 'http://web:1', httpsProxy: 'secure:2' };
  const chosen = (url: string, noProxy = ''): string | undefined =>
    proxyFor(new URL(url), { ...settings, noProxy })?.host;

  it('goes by the scheme', () => {
    expect(chosen('http://a.example/')).toBe('web:1');
    expect(chosen('https://a.example/')).toBe('secure:2');
    expect(proxyFor(new URL('http://a.example'), {})).toBeUndefined();
  });

  it.each(['http://localhost:5000', 'http://127.0.0.1:5000', 'https://[::1]/'])('never for %s', (url) => {
    expect(chosen(url)).toBeUndefined();
  });

  it.each([
    ['example.com', 'https://a.example.com', true],
    ['.example.com', 'https://a.example.com', true],
    ['*.example.com', 'https://a.example.com', true],
    ['example.com', 'https://notexample.com', false],
    ['example.com:8443', 'https://example.com:8443', true],
    ['example.com:8443', 'https://example.com', false],
    ['10.0.0.0/8, other', 'https://10.1.2.3', true],
    ['10.0.0.0/8', 'https://11.1.2.3', false],
    ['10.1.2.3', 'https://10.1.2.3', true],
    ['fd00::/8', 'https://[fd00::1]', true],
    ['10.0.0.0/99,/,:,[', 'https://10.1.2.3', false],
    ['*', 'https://a', true],
  ])('NO_PROXY=%s and %s: direct is %s', (noProxy, url, direct) => {
    expect(chosen(url, noProxy) === undefined).toBe(direct);
  });

  it('knows this machine', () => {
    expect(isLoopback('127.1.2.3')).toBe(true);
    expect(isLoopback('127.0.0.1.example.com')).toBe(false);
  });
});

describe('plain http through a proxy', () => {
  it('is asked for in absolute form, with the credentials of the proxy, and not by CONNECT', async () => {
    const server = await startRegistry();
    const seen: string[] = [];
    const authorizations = new Set<string | undefined>();
    const proxy = createServer((message, response) => {
      seen.push(message.url ?? '');
      authorizations.add(message.headers['proxy-authorization']);
      const target = new URL(message.url ?? '');
      const { method, headers } = message;
      const path = `${target.pathname}${target.search}`;
      const forward = httpRequest(`${server.url}${path}`, { method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      message.pipe(forward);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as AddressInfo; // a TCP server that listens has one
    const client = testClient({ tlsVerify: false, proxy: { httpProxy: `http://u:p%40@127.0.0.1:${port}` } });
    // Nothing answers https at this name, so plain http follows.
    await client.write(imageOf([layerOf('a')]), parseReference('registry.invalid/me/app:1'));
    expect(server.manifests.has('me/app:1')).toBe(true);
    expect(seen.every((url) => url.startsWith('http://registry.invalid/v2/'))).toBe(true);
    expect([...authorizations]).toEqual([`Basic ${Buffer.from('u:p@').toString('base64')}`]);
    proxy.close();
    proxy.closeAllConnections();
    await server.close();
  });
});
