import { chmodSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');
/** More with `CACHE_CASES=200 npx vitest run test/e2e/cached-equals-uncached.test.ts`; other ones with FUZZ_SEED. */
const CASES = Number(process.env.CACHE_CASES ?? 6);
const SEED = Number(process.env.FUZZ_SEED ?? 20);
const STATES = 4;
/** Older than every file: what a cache cannot know, the times, is the same in all layers. */
const env = { SOURCE_DATE_EPOCH: '1600000000' };

/** What a build is given. */
interface State {
  readonly files: Readonly<Record<string, { readonly text: string; readonly mode: number }>>;
  readonly first: readonly string[];
  readonly last: readonly string[];
  readonly version: string;
  readonly touched: number;
}

const name = fc.constantFrom('a', 'b', 'sub/c', 'sub/d');
const text = fc.constantFrom('', 'one\n', 'two\n', 'three\n');
const mode = fc.constantFrom(0o644, 0o600, 0o755);
const file = fc.record({ text, mode });
const files = fc
  .tuple(fc.dictionary(name, file, { maxKeys: 3 }), file, file)
  .map(([some, a, c]) => ({ ...some, a, 'sub/c': c }));
const copied = fc.constantFrom('a', 'a', 'sub/c', 'sub/c', 'sub', 'b');

const common = [
  fc.constantFrom('COPY . /all', 'COPY sub* /sub/', 'COPY --link . /linked/', 'ADD . /added', 'COPY a* b* /ab/'),
  fc
    .tuple(fc.constantFrom('', '--chown=1:2 ', '--chmod=600 ', '--link '), copied)
    .map(([flag, f]) => `COPY ${flag}${f} /x/`),
  fc.constantFrom(
    'RUN cat /all/* /x/* > /out 2>/dev/null; true',
    'RUN echo $V > /d/v',
    'RUN rm -rf /x && mkdir /x && ls -l /all > /d/list; true',
    'RUN chmod 700 /d && ln -s /d /link-$V; true',
    'RUN --mount=type=bind,target=/ctx cat /ctx/a > /d/a; true',
    'RUN --mount=type=bind,source=sub,target=/ctx cat /ctx/* > /d/sub; true',
  ),
  fc.constantFrom('ENV X=$V', 'ARG V=default', 'WORKDIR /w/$V', 'WORKDIR /d', 'LABEL v=$V', 'ENV V=fixed', 'USER root'),
  text.map((content) => `COPY <<EOF /d/here\n${content}$V\nEOF`),
];
const instructions = fc.array(fc.oneof(...common), { minLength: 1, maxLength: 4 });
const fromFirst = fc.constantFrom(
  'COPY --from=first /d /from/',
  'COPY --from=first --chown=3:4 /out /from/out',
  'COPY --from=first /all* /from/all/',
  'RUN --mount=type=bind,from=first,target=/f cat /f/d/* > /read 2>/dev/null; true',
);
const second = fc.array(fc.oneof(...common, fromFirst, fromFirst), { minLength: 1, maxLength: 5 });
const state: fc.Arbitrary<State> = fc.record({
  files,
  first: instructions,
  last: second,
  version: fc.constantFrom('1', '2'),
  touched: fc.integer({ min: 1_650_000_000, max: 1_700_000_000 }),
});

/** Most edits are small. */
const edit: fc.Arbitrary<(before: State) => State> = fc.oneof(
  fc.tuple(name, file).map(([f, content]) => (s: State) => ({ ...s, files: { ...s.files, [f]: content } })),
  name.map((f) => (s: State) => {
    const { [f]: _removed, ...others } = s.files;
    return Object.keys(others).length === 0 ? s : { ...s, files: others };
  }),
  fc.constantFrom('1', '2').map((version) => (s: State) => ({ ...s, version })),
  fc.integer({ min: 1_650_000_000, max: 1_700_000_000 }).map((touched) => (s: State) => ({ ...s, touched })),
  fc.tuple(fc.nat(), fc.oneof(...common)).map(([at, line]) => (s: State) => ({
    ...s,
    first: s.first.map((old, i) => (i === at % s.first.length ? line : old)),
  })),
  fc.tuple(fc.nat(), fc.oneof(...common, fromFirst)).map(([at, line]) => (s: State) => ({
    ...s,
    last: s.last.toSpliced(at % (s.last.length + 1), 0, line),
  })),
  fc.nat().map((at) => (s: State) => ({ ...s, last: s.last.toSpliced(at % s.last.length, s.last.length > 1 ? 1 : 0) })),
);

const containerfile = ({ first, last }: State): string =>
  [
    `FROM ${BASE} AS first`,
    'ARG V=0',
    'RUN mkdir -p /d /x && echo made > /out',
    ...first,
    `FROM ${BASE}`,
    'ARG V=0',
    'RUN mkdir -p /d',
    ...last,
    '',
  ].join('\n');

function prepare(space: Workspace, { files: wanted, touched, ...rest }: State): void {
  for (const known of ['a', 'b', 'sub']) rmSync(join(space.context, known), { recursive: true, force: true });
  space.write(Object.fromEntries(Object.entries(wanted).map(([path, { text: content }]) => [path, content])));
  for (const [path, { mode: bits }] of Object.entries(wanted)) {
    chmodSync(join(space.context, path), bits);
    utimesSync(join(space.context, path), touched, touched);
  }
  writeFileSync(join(space.context, 'Containerfile'), containerfile({ files: wanted, touched, ...rest }));
}

/** The manifest, or how the build failed. */
async function resultOf(space: Workspace, args: readonly string[]): Promise<string> {
  const metadata = join(space.store, 'metadata.json');
  const { status, stderr } = await space.tryBuild(['--metadata-file', metadata, ...args], { env });
  if (status !== 0) return `failed: ${/error\[.*/.exec(stderr)?.[0].replaceAll(space.context, '')}`;
  const { 'containerimage.digest': digest }: Record<string, string> = JSON.parse(readFileSync(metadata, 'utf8'));
  return `${digest}`;
}

describe.runIf(hasBase())('for random small Containerfiles and edits', () => {
  it(
    `a build with the cache gives what one without it gives, byte for byte (${CASES} x ${STATES})`,
    async () => {
      const [person] = people();
      if (!person) throw new Error('there is nobody to build as');
      const cached = workspace(person);
      const fresh = workspace(person);
      const cases = fc.sample(fc.tuple(state, fc.array(edit, { minLength: STATES - 1, maxLength: STATES - 1 })), {
        seed: SEED,
        numRuns: CASES,
      });
      let built = 0;
      for (const [start, edits] of cases) {
        let now = start;
        for (const change of [(s: State) => s, ...edits]) {
          now = change(now);
          // one after the other in one context: what is remembered of its files is at work too
          prepare(cached, now);
          prepare(fresh, now);
          const args = ['--build-arg', `V=${now.version}`];
          const [a, b] = await Promise.all([resultOf(cached, args), resultOf(fresh, ['--no-cache', ...args])]);
          expect({ image: a, ...now }).toEqual({ image: b, ...now });
          if (!a.startsWith('failed')) built++;
        }
      }
      expect(built).toBeGreaterThan((CASES * STATES) / 3);
      if (process.env.CACHE_CASES) process.stderr.write(`${CASES * STATES} states, ${built} of them built\n`);
    },
    Math.max(120_000, CASES * STATES * 5_000),
  );
});
