import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { mountRoot } from '../../../src/executor/sandbox/root-mount.ts';
import { tempDir } from '../../support/temp-dir.ts';

it('more layers than the kernel takes are an error that says how many it takes', () => {
  const links = join(tempDir(), 'links');
  const lower = Array.from({ length: 1000 }, (_, n) => `/layers/${n}`);
  const mounting = () => mountRoot({ type: 'overlay', source: 'overlay', lower }, { target: '/nowhere', links });
  expect(mounting).toThrow('Cannot stack 1000 layers: the kernel takes 999');
  expect(existsSync(links)).toBe(false);
});
