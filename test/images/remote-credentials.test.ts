import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { authorizationFor } from '../../src/remote-credentials.ts';
import { tempDir } from '../support/temp-dir.ts';

it('a URL is asked for with the secret that has its host in its name', () => {
  const file = join(tempDir(), 'token');
  writeFileSync(file, 'abc\n');
  const authorization = authorizationFor({
    env: { HEADER: 'Basic eA==', GIT_AUTH_TOKEN: 'git' },
    secrets: [
      { id: 'HTTP_AUTH_TOKEN_files.example:8080', file },
      { id: 'HTTP_AUTH_HEADER_other.example', env: 'HEADER' },
      { id: 'GIT_AUTH_TOKEN' },
      { id: 'GIT_AUTH_HEADER.code.example', env: 'HEADER' },
    ],
  });
  expect(authorization(new URL('https://files.example:8080/x'), 'http')).toBe('Bearer abc');
  expect(authorization(new URL('https://files.example/x'), 'http')).toBeUndefined();
  expect(authorization(new URL('https://other.example:1/x'), 'http')).toBe('Basic eA==');
  expect(authorization(new URL('https://code.example/x.git'), 'git')).toBe('Basic eA==');
  const any = Buffer.from('x-access-token:git').toString('base64');
  expect(authorization(new URL('https://third.example/x.git'), 'git')).toBe(`Basic ${any}`);
});

it('a credential is read once, as from a pipe', () => {
  const file = join(tempDir(), 'token');
  writeFileSync(file, 'abc');
  const authorization = authorizationFor({ env: {}, secrets: [{ id: 'HTTP_AUTH_TOKEN_a.example', file }] });
  const ask = () => authorization(new URL('https://a.example/x'), 'http');
  expect(ask()).toBe('Bearer abc');
  rmSync(file);
  expect(ask()).toBe('Bearer abc');
});
