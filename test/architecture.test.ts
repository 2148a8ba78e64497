import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastGlob from 'fast-glob';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What each room may import; a room is a folder of src or a file in it. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  events: ['errors'],
  oci: ['errors', 'events'],
  parser: ['errors'],
  graph: ['parser', 'oci', 'errors'],
  layers: ['oci', 'errors', 'events'],
  store: ['oci', 'errors', 'events', 'layers'],
  http: ['oci', 'errors', 'events'],
  registry: ['http', 'oci', 'errors', 'events'],
  remote: ['http', 'oci', 'errors', 'events'],
  executor: ['graph', 'layers', 'oci', 'errors', 'events', 'parser'],
  containers: [
    ...['assembly', 'api', 'build-options', 'build-sandbox', 'images', 'rung', 'user-streams'],
    ...['executor', 'store', 'oci', 'errors', 'events'],
  ],
  cli: ['index'],
};

/** Files beside build.ts: everything but cli. */
const isAssembly = (room: string): boolean => !(room in ALLOWED);

/** Uses of the process outside cli, each with its reason. */
const PROCESS_EXCEPTIONS: Readonly<Record<string, string>> = {
  'src/executor/sandbox/entry.ts': 'is the main file of the process inside the namespace',
};

const MAX_LINES = 400;

interface SourceText {
  readonly path: string;
  readonly room: string;
  readonly text: string;
  readonly imports: readonly { readonly target: string; readonly isLazy: boolean }[];
}

function readSource(path: string): SourceText {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const code = withoutComments(text);
  const found = code.matchAll(/(?:^|\n)\s*(?:import|export)\s+[^;'"]*?from\s*'(\.[^']+)'|import\(\s*'(\.[^']+)'/g);
  const imports = [...found].map(([, from, lazy]) => ({
    target: normalize(join(dirname(path), from ?? lazy ?? '')),
    // A lazy import closes no cycle while modules load.
    isLazy: lazy !== undefined,
  }));
  return { path, room: roomOf(path), text: code, imports };
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

function roomOf(path: string): string {
  return (relative('src', path).split('/')[0] ?? '').replace(/\.ts$/, '');
}

function listFiles(folder: string): string[] {
  return fastGlob.sync(`${folder}/**/*.ts`, { cwd: ROOT }).sort();
}

const sources = listFiles('src').map(readSource);

describe('the rooms', () => {
  it('import only what the table allows', () => {
    const wrong = sources.flatMap(({ path, room, imports }) =>
      imports
        .filter(({ target }) => roomOf(target) !== room && !mayImport(room, roomOf(target)))
        .map(({ target }) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it("import other folders through those folders' index.ts only", () => {
    const wrong = sources.flatMap(({ path, room, imports }) =>
      imports
        .filter(
          ({ target }) =>
            roomOf(target) !== room && target.split('/').length > 2 && !/^src\/\w+\/index\.ts$/.test(target),
        )
        .map(({ target }) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('import nothing in a circle', () => {
    expect(findCycles()).toEqual([]);
  });

  it('leave the process, its environment and the console to cli', () => {
    const wrong = sources.filter(
      ({ path, room, text }) =>
        room !== 'cli' &&
        !(path in PROCESS_EXCEPTIONS) &&
        /\bconsole\.|\bprocess\.(?:exit|env|stdout|stderr)\b/.test(text),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it('list no exception that is not needed', () => {
    const unused = Object.keys(PROCESS_EXCEPTIONS).filter(
      (path) => existsSync(join(ROOT, path)) && !/\bprocess\./.test(readSource(path).text),
    );
    expect(unused).toEqual([]);
  });
});

describe('every file', () => {
  const files = [...listFiles('src'), ...listFiles('test')];

  it('has a kebab-case name', () => {
    const wrong = files.filter((path) => !/^(?:[a-z0-9-]+\/)*[a-z0-9]+(?:[-.][a-z0-9]+)*\.ts$/.test(path));
    expect(wrong).toEqual([]);
  });

  it(`of src has at most ${MAX_LINES} lines, half of them less than 100`, () => {
    const sizes = listFiles('src').map((path) => ({
      path,
      lines: readFileSync(join(ROOT, path), 'utf8').split('\n').length - 1,
    }));
    expect(sizes.filter(({ lines }) => lines > MAX_LINES)).toEqual([]);
    const sorted = sizes.map(({ lines }) => lines).sort((a, b) => a - b);
    expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThan(100);
  });

  it('has named exports only', () => {
    expect(sources.filter(({ text }) => /^export default/m.test(text)).map(({ path }) => path)).toEqual([]);
  });
});

describe('the guides', () => {
  it.each(['ARCHITECTURE.md', 'CONTRIBUTING.md', 'README.md', 'docs/adr/README.md'])(
    '%s names only paths that exist',
    (guide) => {
      const text = readFileSync(join(ROOT, guide), 'utf8');
      const named = [...text.matchAll(/`((?:src|test|docs|scripts|fixtures|bench)\/[\w./-]*)`/g)].map(
        ([, path]) => path ?? '',
      );
      const linked = [...text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, path]) =>
        join(dirname(guide), path ?? ''),
      );
      expect([...named, ...linked].filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    },
  );
});

function mayImport(room: string, target: string): boolean {
  if (isAssembly(room)) return target !== 'cli';
  return ALLOWED[room]?.includes(target) ?? false;
}

/** Circles of imports, those of types among them, as paths. */
function findCycles(): string[] {
  const graph = new Map(
    sources.map(({ path, imports }) => [path, imports.filter(({ isLazy }) => !isLazy).map(({ target }) => target)]),
  );
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const seen = trail.indexOf(path);
    if (seen >= 0) cycles.push([...trail.slice(seen), path].join(' -> '));
    if (seen >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return cycles;
}
