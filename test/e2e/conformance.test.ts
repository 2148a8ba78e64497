import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { succeeded } from '../support/workspace.ts';

/** Cases of the peers' own suites with the images that they made of them; not part of this repository. */
const SUITE = resolve(import.meta.dirname, '../../../shared/conformance');
const isThere = existsSync(join(SUITE, 'run-diff.mjs')) && existsSync(join(SUITE, 'bases/busybox.oci.tar'));
if (!isThere) process.stderr.write('Not here, not tested: the conformance cases (../shared/conformance)\n');

const SAMPLE = 32;
/** Cases that are not the same, each with its reason. */
const EXPLAINED = readFileSync(resolve(import.meta.dirname, '../../docs/differences.md'), 'utf8');
const TIME = { timeout: 180_000 };

interface Case {
  readonly name: string;
  readonly dir: string;
}

/** What a setup.sh makes may be readable for root only; some checkouts turn links into small text files. */
const hasLink = (directory: string): boolean =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' }).some((name) =>
    lstatSync(join(directory, name)).isSymbolicLink(),
  );

/** Every n-th of the cases that docs/differences.md does not name and that need no symbolic link, no setup and no empty directory. */
function sample(): string[] {
  const all: readonly Case[] = JSON.parse(readFileSync(join(SUITE, 'build/cases.json'), 'utf8'));
  const empty: readonly string[] = JSON.parse(readFileSync(join(SUITE, 'build/emptydirs.json'), 'utf8'));
  const fit = all.filter(
    ({ name, dir }) =>
      !EXPLAINED.includes(`\`${name}\``) &&
      !name.includes('link') &&
      existsSync(join(SUITE, 'build', dir)) &&
      !empty.some((path) => path.startsWith(`${dir}/`)) &&
      !existsSync(join(SUITE, 'build', dir, 'setup.sh')) &&
      !hasLink(join(SUITE, 'build', dir)),
  );
  const step = Math.max(1, Math.floor(fit.length / SAMPLE));
  return fit
    .filter((_, index) => index % step === 0)
    .map(({ name }) => name)
    .slice(0, SAMPLE);
}

interface Difference {
  readonly path: string;
  readonly kind: string;
  readonly ref?: { readonly type: string };
}

interface Judgement {
  readonly verdict: string;
  readonly config?: readonly unknown[];
  readonly history?: readonly unknown[];
  readonly fs?: readonly Difference[];
}

/**
 * The runner writes this registry's name into the cases, so a copy of the Containerfile itself must differ. Where the
 * reference has a link and this checkout's context none any more, only the reference knows it.
 */
function isSame({ verdict, config = [], history = [], fs = [] }: Judgement): boolean {
  if (/^same|^ref-broken/.test(verdict)) return true; // a broken reference judges nobody
  const isText = ({ path, kind, ref }: Difference) =>
    kind === 'attr' && (/(Docker|Container)file/.test(path) || ref?.type === 'symlink');
  return verdict === 'differs:fs' && config.length + history.length === 0 && fs.every(isText);
}

describe.runIf(isThere && hasBase())('the conformance cases', () => {
  const everybody = people();
  const [runner] = everybody;
  it.each(everybody)(
    `built by $name are what the peers made of them, in a sample of ${SAMPLE}`,
    TIME,
    async (person) => {
      if (runner === undefined) throw new Error('nobody runs the tests');
      const registry = inject('registry');
      const work = runner.directory();
      const as = person === runner ? [] : ['--as-user', person.login];
      succeeded(await runner.tsbuild(['--root', `${work}/s`, 'load', '-q', join(SUITE, 'bases/busybox.oci.tar')]));
      succeeded(await runner.tsbuild(['--root', `${work}/s`, 'push', '-q', 'busybox', `${registry}/corpus/busybox`]));
      const program = `${process.execPath} ${inject('installed')}`;
      const command = `${program} build --root {store} {args} {target} -f {file} -o type=oci,dest={out}.tar {context} && mv {out}.tar {out}`;
      const results = `${work}/results.json`;
      const options = ['--only', `^(${sample().join('|')})$`, '--registry', registry, '--cmd', command];
      const own = ['--work', `${work}/cases`, '--results', results, '--jobs', '2', ...as];
      const { stdout } = await runner.run([process.execPath, join(SUITE, 'run-diff.mjs'), ...options, ...own, '-v']);
      const judged: Readonly<Record<string, Judgement>> = JSON.parse(readFileSync(results, 'utf8'));
      const different = Object.entries(judged).filter(([, judgement]) => !isSame(judgement));
      expect(different, stdout).toEqual([]);
      expect(Object.keys(judged)).toHaveLength(SAMPLE);
    },
  );
});
