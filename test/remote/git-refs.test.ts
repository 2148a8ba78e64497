import { expect, it } from 'vitest';
import type { Git } from '../../src/remote/git.ts';
import { resolveRef } from '../../src/remote/git-refs.ts';

const COMMIT = 'a'.repeat(40);

/** A server that says this. */
const answering = (text: string): Git =>
  ({ remote: { url: 'https://example.org/r', shown: 'r' }, ask: async () => text }) as unknown as Git; // only what is asked

it('takes the default branch that a server names', async () => {
  const git = answering(`ref: refs/heads/main\tHEAD\n${COMMIT}\tHEAD\n`);
  expect(await resolveRef(git, undefined)).toEqual({ name: 'refs/heads/main', commit: COMMIT });
});

it('takes no default branch that git would take for an option', async () => {
  const git = answering(`ref: --upload-pack=touch\tHEAD\n${COMMIT}\tHEAD\n`);
  expect(await resolveRef(git, undefined)).toEqual({ name: undefined, commit: COMMIT });
});
