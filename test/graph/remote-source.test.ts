import { describe, expect, test } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { type CopyOp, type GitOp, type HttpOp, parseGitUrl } from '../../src/graph/index.ts';
import { lowered } from './support/lowering.ts';

const SHA = 'a'.repeat(64);

function add(text: string): { op: CopyOp; source: HttpOp | GitOp; history: string | undefined } {
  const graph = lowered(`FROM base\nARG V=1.2\nARG SUM=sha256:${SHA}\n${text}`);
  const { op, inputs } = graph.target;
  const [source] = inputs.flatMap((input) => (input.op.kind === 'http' || input.op.kind === 'git' ? [input.op] : []));
  if (op.kind !== 'copy' || !source) throw new Error('It is no ADD of a remote source');
  return { op, source, history: graph.history.at(-1)?.entry.created_by };
}

function failure(work: () => unknown): BuildError {
  try {
    work();
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
  throw new Error('No error was thrown');
}

describe('ADD of a URL', () => {
  test.each([
    ['https://x.org/a/b.tgz', 'b.tgz'],
    ['https://x.org/a/b.tgz?v=1&w=/c', 'b.tgz'],
    ['https://x.org/a/b.tgz#part', 'b.tgz'],
    ['https://x.org/a/', 'a'],
    ['https://x.org/a%20b', 'a b'],
    ['https://x.org/a%2Fb', 'b'],
    ['https://x.org/%2e%2e%2f', undefined],
    ['https://x.org/%00', undefined],
    ['https://x.org/100%', '100%'],
    ['https://x.org', undefined],
    ['https://x.org/?a=b', undefined],
  ])('%s is called %s (8.3 #85)', (url, name) => {
    expect(add(`ADD ${url} /file`).source).toMatchObject({ kind: 'http', name: name ?? '__unnamed__' });
    if (name !== undefined) return;
    const error = failure(() => add(`ADD ${url} /dir/`));
    expect([error.code, error.range?.start]).toEqual(['E_PARSE', { line: 4, column: 5 }]);
    expect(error.hint).toBe('The URL ends without a name: name the file in the destination, "/dir/NAME"');
  });

  test('has a name that is no pattern', () => {
    const { op, source } = add('ADD https://x.org/a[1]*.txt /');
    expect(source).toMatchObject({ name: 'a[1]*.txt' });
    expect(op.sources).toMatchObject([{ path: 'a\\[1]\\*.txt' }]);
  });

  test('is expanded first, and stands in the history without its credentials', () => {
    const { source, history } = add('ADD https://me:secret@x.org/$V.txt /');
    expect(source).toMatchObject({ url: 'https://me:secret@x.org/1.2.txt' });
    expect(history).toBe('ADD https://xxxxx@x.org/1.2.txt /');
  });

  test('is unpacked only when --unpack asks for it', () => {
    expect(add('ADD https://x.org/a.tgz /').op.sources).toMatchObject([{ unpack: false }]);
    expect(add('ADD --unpack https://x.org/a.tgz /').op.sources).toMatchObject([{ unpack: true }]);
  });

  test('has a checksum, which may be in a variable (8.3 #85)', () => {
    expect(add('ADD --checksum=$SUM https://x.org/a /').source).toMatchObject({ checksum: `sha256:${SHA}` });
    const long = `sha512:${SHA}${SHA}`;
    expect(add(`ADD --checksum=${long} https://x.org/a /`).source).toMatchObject({ checksum: long });
  });

  test.each([
    [`ADD --checksum=sha256:12 https://x.org/a /`, 'Cannot use the checksum "sha256:12"'],
    [`ADD --checksum=md5:${'a'.repeat(32)} https://x.org/a /`, `Cannot use the checksum "md5:${'a'.repeat(32)}"`],
    [`ADD --checksum=sha256:${'A'.repeat(64)} https://x.org/a /`, `Cannot use the checksum "sha256:${'A'.repeat(64)}"`],
    [`ADD --checksum=sha256:${SHA} file /`, 'Cannot use --checksum with "file": it is for URLs and git repositories'],
    [
      `ADD --checksum=sha256:${SHA} https://x.org/a https://x.org/b /d/`,
      'Cannot use --checksum: there are several sources',
    ],
    ['ADD --checksum=main https://x.org/a.git /', 'Cannot use the checksum "main"'],
  ])('%s is an error at the checksum (8.3 #85)', (text, message) => {
    const error = failure(() => lowered(`FROM base\n${text}`));
    expect([error.code, error.message]).toEqual(['E_PARSE', message]);
    expect(error.range?.start.line).toBe(2);
    expect(error.range?.start.column).toBeGreaterThanOrEqual(5);
    expect(error.range?.start.column).toBeLessThanOrEqual(16);
    expect(error.hint).toBeDefined();
  });

  test('that a variable holds is an error for COPY', () => {
    const error = failure(() => lowered('FROM base\nARG U=https://x.org/a\nCOPY $U /'));
    expect(error).toMatchObject({ code: 'E_PARSE', message: 'COPY cannot read a URL "https://x.org/a"' });
  });

  test('may stand beside files of the context and repositories', () => {
    const graph = lowered('FROM base\nADD a https://x.org/b https://x.org/c.git /d/');
    expect(graph.target.inputs.map(({ op }) => op.kind)).toEqual(['image', 'context', 'http', 'git']);
    const { op } = graph.target;
    expect(op.kind === 'copy' && op.sources.map((source) => source.type === 'path' && source.input)).toEqual([1, 2, 3]);
  });
});

describe('a git URL', () => {
  const commit = '0123456789'.repeat(4);

  test.each([
    ['https://x.org/a.git', { url: 'https://x.org/a.git' }],
    ['https://x.org/a.git#v1', { ref: 'v1' }],
    ['https://x.org/a.git#v1:sub/dir', { ref: 'v1', subdir: 'sub/dir' }],
    ['https://x.org/a.git#:sub/../../dir/', { subdir: 'dir' }],
    ['https://x.org/a.git#feature/x:/', { ref: 'feature/x' }],
    ['git@x.org:me/a.git#v1:sub', { url: 'git@x.org:me/a.git', ref: 'v1', subdir: 'sub' }],
    ['ssh://git@x.org:22/a#v1', { url: 'ssh://git@x.org:22/a', ref: 'v1' }],
    ['git://x.org/a', { url: 'git://x.org/a' }],
    ['https://x.org/a.git?ref=v1&subdir=sub', { ref: 'v1', subdir: 'sub' }],
    ['https://x.org/a.git?tag=v1', { ref: 'refs/tags/v1' }],
    ['https://x.org/a.git?branch=main', { ref: 'refs/heads/main' }],
    [`https://x.org/a.git?commit=${commit}`, { ref: commit, checksum: commit }],
    ['https://x.org/a.git?tag=v1&checksum=ABC1', { ref: 'refs/tags/v1', checksum: 'abc1' }],
    [`https://x.org/a.git?tag=v1&commit=${commit}&fetch-by-commit=true`, { ref: commit, checksum: commit }],
    ['https://x.org/a.git?keep-git-dir', { keepGitDir: true }],
    ['https://x.org/a.git?submodules=false&keep-git-dir=0', { keepGitDir: false, submodules: false }],
    ['https://x.org/a.git?ref=v1#v1', { ref: 'v1' }],
    ['https://x.org/a.git?mtime=commit', {}],
  ])('%s is taken apart (8.3 #86)', (text, expected) => {
    expect(parseGitUrl(text)).toEqual({ url: text.replace(/[?#].*/, ''), ...expected });
  });

  test.each([
    ['https://x.org/a.git#-upload-pack=x', 'is not the name of a branch, tag or commit'],
    ['https://x.org/a.git#a..b', 'is not the name'],
    ['https://x.org/a.git#main~1', 'is not the name'],
    ['https://x.org/a.git#*', 'is not the name'],
    ['https://x.org/a.git?ref=a#b', 'it names two refs, "b" and "a"'],
    ['https://x.org/a.git?tag=a&branch=b', 'it names two refs'],
    ['https://x.org/a.git?ref', '"ref" has no value'],
    ['https://x.org/a.git?tag=a&tag=b', '"tag" is there twice'],
    ['https://x.org/a.git?depth=1', 'it has no option "depth"'],
    ['https://x.org/a.git?submodules=maybe', '"maybe" is no value of "submodules"'],
    ['https://x.org/a.git?checksum=v1', '"v1" is not a commit'],
    ['git@-oProxyCommand=x:a', 'it names no host'],
    ['ssh://-oProxyCommand=x/a', 'it names no host'],
  ])('%s is an error that says what is wrong (8.3 #86)', (text, message) => {
    const error = failure(() => parseGitUrl(text));
    expect(error.code).toBe('E_PARSE');
    expect(error.message).toContain(message);
    expect(error.hint).toBeDefined();
  });

  test('of ADD has what the flags say, and the query before them (8.3 #86)', () => {
    expect(add('ADD https://x.org/a.git#$V /').source).toEqual({
      kind: 'git',
      url: 'https://x.org/a.git',
      ref: '1.2',
      keepGitDir: false,
      submodules: true,
    });
    expect(add('ADD --keep-git-dir --checksum=AbC git@x.org:a /').source).toMatchObject({
      keepGitDir: true,
      checksum: 'abc',
    });
    expect(add('ADD --keep-git-dir https://x.org/a.git?keep-git-dir=false /').source).toMatchObject({
      keepGitDir: false,
    });
    expect(failure(() => add('ADD https://x.org/a.git?x=y /')).range?.start).toEqual({ line: 4, column: 5 });
  });
});
