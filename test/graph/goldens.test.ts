import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { dumpGraph, type NamedContext } from '../../src/graph/index.ts';
import { parsePlatform } from '../../src/oci/index.ts';
import { lowered } from './support/lowering.ts';

const root = new URL('../../fixtures/graphs/', import.meta.url);

function options(folder: URL) {
  const path = new URL('options.json', folder);
  if (!existsSync(path)) return {};
  const { platform, contexts = {}, ...rest } = JSON.parse(readFileSync(path, 'utf8'));
  return {
    ...rest,
    contexts: new Map(Object.entries<NamedContext>(contexts)),
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
  };
}

describe('The graph of a Containerfile is the one on record (UPDATE_FIXTURES=1 writes it anew)', () => {
  test.each(readdirSync(root))('%s', (name) => {
    const folder = new URL(`${name}/`, root);
    const graph = dumpGraph(lowered(readFileSync(new URL('Containerfile', folder), 'utf8'), options(folder)));
    const golden = new URL('graph.txt', folder);
    if (process.env.UPDATE_FIXTURES === '1') writeFileSync(golden, graph);
    expect(graph).toBe(readFileSync(golden, 'utf8'));
  });
});
