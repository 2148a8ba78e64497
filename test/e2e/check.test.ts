import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');
const WARNED = `FROM ${BASE} AS tool
WORKDIR $GOPATH/src
RUN echo ran > /ran

FROM tool as Final
COPY hidden /
CMD serve $PAHT
`;
const FILES = { '.dockerignore': 'hidden\n', hidden: '', seen: '' };

/** One per warning: what a build says. */
const said = (stderr: string): string[] => stderr.split('\n').filter((line) => line.startsWith('warning: '));

describe.runIf(hasBase()).each(people())('checks by $name', (person) => {
  const project = (containerfile = WARNED): Workspace => workspace(person, { containerfile, files: FILES });

  it('--check reports warnings with their place, and fails with 3, without the base and without a build', async () => {
    const space = project();
    const { status, stdout, stderr } = await space.tryBuild(['--check']);
    expect(status, stderr).toBe(3);
    expect(stdout).toContain('Check complete, 4 warnings have been found!');
    expect(stdout).toContain("WARNING: StageNameCasing: Stage name 'Final' should be lowercase\nStage names");
    expect(stdout).toContain('Attempting to Copy file "hidden" that is excluded by .dockerignore');
    expect(stdout).toContain('Containerfile:6\n  5 | FROM tool as Final\n> 6 | COPY hidden /\n    | ^^^^^^^^^^^^^\n');
    expect(stdout).not.toContain('UndefinedVar');
    expect(stderr).toContain(`Not in the store, so their variables and platforms are not checked: "${BASE}"`);
    expect(stderr).not.toContain('pull sha256');
    expect((await space.tsbuild(['images', '-q'])).stdout).toBe('');
  });

  it('--check knows the variables of a base that the store has, or that --pull fetches', async () => {
    const space = project();
    const pulled = await space.tryBuild(['--check', '--pull']);
    expect(pulled.stdout).toContain("UndefinedVar: Usage of undefined variable '$GOPATH' (did you mean $PATH?)");
    expect(pulled.stderr).not.toContain('Not in the store');
    expect((await space.tryBuild(['--check'])).stdout).toBe(pulled.stdout);
  });

  it('--check of a clean file succeeds, as does one whose warnings are skipped', async () => {
    const clean = 'FROM scratch\nCOPY seen /\n';
    for (const text of [clean, `# check=skip=all\n${WARNED}`]) {
      const { stdout } = await project(text).build(['--check']);
      expect(stdout).toBe('Check complete, no warnings found.\n');
    }
    const overridden = await project().build(['--check', '--build-arg', 'BUILDKIT_DOCKERFILE_CHECK=skip=all']);
    expect(overridden.stdout).toContain('no warnings');
  });

  it('--check of a file with an error shows the warnings before it, then the error', async () => {
    const space = project('FROM scratch AS Upper\nRUM x\n');
    const { status, stdout, stderr } = await space.tryBuild(['--check']);
    expect({ status, stdout }).toMatchObject({ status: 3, stdout: expect.stringContaining('StageNameCasing') });
    expect(stderr).toContain('error[E_UNKNOWN_INSTRUCTION]');
  });

  it('--call=check,format=json and --check --progress json print one JSON value', async () => {
    const space = project();
    const called = await space.tryBuild(['--call=check,format=json']);
    const report: { warnings: { ruleName: string; location: { ranges: { start: { line: number } }[] } }[] } =
      JSON.parse(called.stdout);
    expect(report.warnings.map((found) => [found.ruleName, found.location.ranges[0]?.start.line])).toEqual([
      ['StageNameCasing', 5],
      ['FromAsCasing', 5],
      ['CopyIgnoredFile', 6],
      ['JSONArgsRecommended', 7],
    ]);
    expect(called.status).toBe(3);
    expect((await space.tryBuild(['--check', '--progress', 'json'])).stdout).toBe(called.stdout);
  });

  it('a build says each warning once, on a line of its own, and goes on', async () => {
    const space = project(WARNED.replace('hidden /', 'seen /'));
    const { stderr } = await space.build();
    expect(said(stderr)).toEqual([
      "warning: UndefinedVar: Usage of undefined variable '$GOPATH' (did you mean $PATH?) (Containerfile:2)",
      "warning: StageNameCasing: Stage name 'Final' should be lowercase (Containerfile:5)",
      "warning: FromAsCasing: 'as' and 'FROM' keywords' casing do not match (Containerfile:5)",
      'warning: JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (Containerfile:7)',
    ]);
    const target = await space.build(['--target', 'tool']);
    expect(said(target.stderr).filter((line) => line.includes('JSONArgs'))).toEqual([]);
  });

  it('with error=true a build with warnings fails before anything runs', async () => {
    const space = project(`# check=error=true\n${WARNED}`);
    const { status, stderr } = await space.tryBuild(['-t', 'never']);
    expect(status).toBe(3);
    expect(said(stderr)).not.toEqual([]);
    expect(stderr).toContain('error[E_LINT]: Lint violation found for rules: UndefinedVar, StageNameCasing');
    expect(stderr).not.toMatch(/^#1 /m);
    expect((await space.tsbuild(['images'])).stdout).not.toContain('never');
  });

  it('--print targets and --print outline ask no registry', async () => {
    const space = project('ARG V=1\n# app is it\nFROM nowhere.example/x:$V AS app\nRUN --mount=type=secret,id=t x\n');
    const nowhere = `${person.directory()}/store`;
    const ask = (what: string) => person.tsbuild(['--root', nowhere, 'build', `--print=${what}`, space.context]);
    expect((await ask('targets')).stdout).toContain('app (default)   nowhere.example/x:$V   is it');
    expect((await ask('outline')).stdout).toMatch(/^V +1 +1$/m);
    expect(JSON.parse((await ask('outline,format=json')).stdout)).toMatchObject({ secrets: [{ name: 't' }] });
    expect((await ask('targetz')).status).toBe(2);
  });
});
