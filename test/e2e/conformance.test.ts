import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { succeeded } from '../support/workspace.ts';

/** Cases of the peers' own suites with the images that they made of them; not part of this repository. */
const SUITE = resolve(import.meta.dirname, '../../../shared/conformance');
const isThere = existsSync(join(SUITE, 'run-diff.mjs')) && existsSync(join(SUITE, 'bases/busybox.oci.tar'));
if (!isThere) process.stderr.write('Not here, not tested: the conformance cases (../shared/conformance)\n');

const SAMPLE = 20;

interface Case {
  readonly name: string;
  readonly dir: string;
  readonly stage: number;
  readonly needs: readonly string[];
}

/** Some checkouts turn links into small text files. */
const hasLink = (directory: string): boolean =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' }).some((name) =>
    lstatSync(join(directory, name)).isSymbolicLink(),
  );

/** Every n-th of the first stage's cases that neither need a symbolic link nor something special. */
function sample(): string[] {
  const all: readonly Case[] = JSON.parse(readFileSync(join(SUITE, 'build/cases.json'), 'utf8'));
  const fit = all
    .filter(({ stage, needs }) => stage === 1 && needs.every((need) => need === 'busybox' || need === 'run'))
    .filter(({ name, dir }) => !name.includes('link') && !hasLink(join(SUITE, 'build', dir)));
  const step = Math.max(1, Math.floor(fit.length / SAMPLE));
  return fit
    .filter((_, index) => index % step === 0)
    .map(({ name }) => name)
    .slice(0, SAMPLE);
}

describe.runIf(isThere && hasBase()).each(people())('the conformance cases built by $name', (person) => {
  it(`are what the peers made of them, in a sample of ${SAMPLE}`, { timeout: 180_000 }, async () => {
    const registry = inject('registry');
    const work = person.directory();
    succeeded(await person.tsbuild(['--root', `${work}/s`, 'load', '-q', join(SUITE, 'bases/busybox.oci.tar')]));
    succeeded(await person.tsbuild(['--root', `${work}/s`, 'push', '-q', 'busybox', `${registry}/corpus/busybox`]));
    const program = `${process.execPath} ${inject('installed')}`;
    const command = `${program} build --root {store} {args} {target} -f {file} -o type=oci,dest={out}.tar {context} && mv {out}.tar {out}`;
    const results = `${work}/results.json`;
    const options = ['--stage', '1', '--only', `^(${sample().join('|')})$`, '--registry', registry, '--cmd', command];
    const own = ['--work', `${work}/cases`, '--results', results, '--jobs', '2'];
    const { stdout } = await person.run([process.execPath, join(SUITE, 'run-diff.mjs'), ...options, ...own, '-v']);
    const judged: Readonly<Record<string, { readonly verdict: string }>> = JSON.parse(readFileSync(results, 'utf8'));
    const different = Object.entries(judged).filter(([, { verdict }]) => !/^same|^ref-broken:cand-as/.test(verdict));
    expect(different, stdout).toEqual([]);
    expect(Object.keys(judged)).toHaveLength(SAMPLE);
  });
});
