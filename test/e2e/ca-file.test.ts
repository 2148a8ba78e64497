import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { hasBase, type Person, people } from '../support/person.ts';
import { inspect, workspace } from '../support/workspace.ts';

const BASE = inject('base');

interface PrivateServer {
  readonly url: string;
  /** The certificate of its authority, in PEM. */
  readonly authority: string;
  readonly certificate: string;
}

/** An https server whose certificate only its own authority vouches for. */
async function servePrivately(person: Person): Promise<PrivateServer> {
  const directory = person.directory();
  const at = (name: string): string => join(directory, name);
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { stdio: 'ignore', cwd: directory });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=Private', '-days', '2');
  openssl('req', ...newKey, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  writeFileSync(at('extensions'), 'subjectAltName=IP:127.0.0.1\n');
  const sign = ['x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
  openssl(...sign, '-out', 'server.pem', '-extfile', 'extensions', '-days', '2');
  chmodSync(at('ca.pem'), 0o644);
  const tls = { key: readFileSync(at('server.key')), cert: readFileSync(at('server.pem')) };
  const server = createServer(tls, (_, response) => response.end('fetched\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  return { url: `https://127.0.0.1:${port}`, authority: at('ca.pem'), certificate: at('server.pem') };
}

describe.runIf(hasBase()).each(people())('--ca-file of $name', (person) => {
  it('is trusted by ADD and RUN, and no layer, variable, history or key has it', async () => {
    const { url, authority, certificate } = await servePrivately(person);
    const space = workspace(person, {
      containerfile: [
        `FROM ${BASE}`,
        `ADD ${url}/file /file`,
        'ENV WGETRC=/mine',
        'RUN cp "$SSL_CERT_FILE" /bundle; test "$SSL_CERT_FILE" = "$CURL_CA_BUNDLE"; cat "$APT_CONFIG"; echo "$WGETRC"',
      ].join('\n'),
    });
    const refused = await space.tryBuild();
    expect([refused.status, refused.stderr]).toEqual([7, expect.stringContaining('E_TLS')]);

    const tar = join(space.store, 'out.tar');
    const { stderr } = await space.build(['--ca-file', authority, '-t', 'image0', '-o', `type=tar,dest=${tar}`]);
    expect(stderr).toContain('| Acquire::https::CaInfo "/dev/tsbuild/ca-certificates.crt";');
    expect(stderr).toContain('| /mine');
    const { stdout: bundle } = await person.run(['tar', '-xOf', tar, 'bundle']);
    person.write(space.store, { 'bundle.pem': bundle });
    const verified = await person.run(['openssl', 'verify', '-CAfile', join(space.store, 'bundle.pem'), certificate]);
    expect(verified.status, verified.stderr).toBe(0);
    // as the image has none, Mozilla's are there, too
    expect(bundle.match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(50);

    const { stdout: names } = await person.run(['tar', '-tf', tar]);
    expect(names).not.toContain('tsbuild');
    const { Config } = await inspect(space, 'image0');
    expect(JSON.stringify(Config)).not.toMatch(/dev\/tsbuild|SSL_CERT/);
  });

  it('has to hold certificates', async () => {
    const space = workspace(person, { containerfile: `FROM ${BASE}\nRUN true\n`, files: { 'ca.pem': 'nothing' } });
    const { status, stderr } = await space.tryBuild(['--ca-file', join(space.context, 'ca.pem')]);
    expect([status, stderr]).toEqual([2, expect.stringContaining('there is no certificate in it')]);
  });
});
