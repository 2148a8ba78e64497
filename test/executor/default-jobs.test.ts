import { expect, it } from 'vitest';
import { defaultJobs, usableMemory } from '../../src/executor/default-jobs.ts';

const GIB = 1024 ** 3;

it.each([
  [2, 8 * GIB, 4],
  [16, 32 * GIB, 16],
  [16, 2 * GIB, 4],
  [2, 0.6 * GIB, 1],
  [1, 0.1 * GIB, 1],
])('with %i processors and %d bytes of memory %i steps run at once', (processors, memoryBytes, jobs) => {
  expect(defaultJobs({ processors, memoryBytes })).toBe(jobs);
});

it('the limit of a cgroup counts where it is below what the machine has', () => {
  expect(usableMemory(8 * GIB, GIB)).toBe(GIB);
  expect(usableMemory(8 * GIB, 0)).toBe(8 * GIB);
  expect(usableMemory(8 * GIB, 2 ** 63)).toBe(8 * GIB);
});
