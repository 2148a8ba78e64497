import { expect, test } from 'vitest';
import { unusedSecrets } from '../../src/unused-secrets.ts';
import { parse } from '../graph/support/lowering.ts';

const warned = (text: string, ...ids: string[]): string[] =>
  unusedSecrets(
    parse(`FROM base\n${text}`),
    [],
    ids.map((id) => ({ id })),
  ).map(({ message, hint }) => `${message}. ${hint}`);

test('a secret that no mount asks for is warned of, with the id that was meant', () => {
  expect(warned('RUN --mount=type=secret,id=npmrc x', 'npmrcc')).toEqual([
    'Secret "npmrcc" is not used: no mount asks for it. Did you mean "npmrc"?',
  ]);
  expect(warned('RUN x', 'token')).toEqual([
    'Secret "token" is not used: no mount asks for it. Ask for it with RUN --mount=type=secret,id=token',
  ]);
  expect(warned('RUN --mount=type=cache,id=token,target=/c x', 'token')).toHaveLength(1);
});

test.each([
  ['RUN --mount=type=secret,id=token x'],
  ['RUN --mount=type=secret,target=/root/token x'],
  ['RUN --mount=type=secret x\nFROM base\nRUN --mount=type=secret,id=token x'],
  ['ONBUILD RUN --mount=type=secret,id=token x'],
  ['ARG ID\nRUN --mount=type=secret,id=$ID x'],
])('no warning for a secret that may be asked for: %s', (text) => {
  expect(warned(text, 'token')).toEqual([]);
});

test('credentials of ADD and the context are no secrets of mounts', () => {
  expect(warned('RUN x', 'GIT_AUTH_TOKEN', 'GIT_AUTH_HEADER.example.com', 'HTTP_AUTH_TOKEN_example.com')).toEqual([]);
});
