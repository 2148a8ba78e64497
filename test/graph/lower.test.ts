// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of Containerfiles
import { describe, expect, test } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { imageKey, lint, type Node, type Op, requiredImages, sourcesOf, stepsOf } from '../../src/graph/index.ts';
import { encodeConfig } from '../../src/oci/index.ts';
import { plansOf } from '../../src/step-plans.ts';
import { lowered, OPTIONS, parse } from './support/lowering.ts';

/** The file's RUN steps as processes see them. */
function runs(text: string, changes: Parameters<typeof lowered>[1] = {}) {
  return stepsOf(lowered(text, changes)).flatMap(({ op }: Node) => (op.kind === 'run' ? [op] : []));
}
const envOf = (op: Extract<Op, { kind: 'run' }> | undefined) => Object.fromEntries(op?.env ?? []);

function failure(text: string, changes: Parameters<typeof lowered>[1] = {}): BuildError {
  try {
    lowered(text, changes);
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
  throw new Error('It was lowered without an error');
}
const lastEnv = (text: string) => lowered(`FROM scratch\n${text}`).config.Env?.at(-1);

describe('Expansion (reference, section 8.2)', () => {
  test('8.2 #38: one ENV line sees the environment before it', () => {
    expect(lowered('FROM scratch\nENV a=0\nENV a=1 b=$a').config.Env?.slice(1)).toEqual(['a=1', 'b=0']);
  });
  test.each([
    ['8.2 #39', 'ENV r=${x:-${y:-z}}', 'r=z'],
    ['8.2 #40', 'ENV x=1\nENV r=${x:+"q r"}', 'r=q r'],
    ['8.2 #41', 'ENV x=1\nENV r="\\$x"', 'r=$x'],
    ['8.2 #41', "ENV x=1\nENV r='\\$x'", 'r=\\$x'],
    ['8.2 #41', 'ENV x=1\nENV r=\\$x', 'r=$x'],
    ['8.2 #42', 'ENV x=a/b.c/d.e\nENV r=${x#*/},${x##*/},${x%.*},${x%%.*}', 'r=b.c/d.e,d.e,a/b.c/d,a/b'],
    ['8.2 #43', 'ENV x=a.b\nENV r=${x/./-}', 'r=a-b'],
    ['8.2 #43', 'ENV x=/a/b\nENV r=${x//\\//_}', 'r=_a_b'],
    ['8.2 #47', 'ENV r=a$1b', 'r=ab'],
    ['8.2 #47', 'ENV r=a$@b$$c$*d$#e$?f$-g$!h$0i', 'r=abcdefghi'],
    ['8.2 #48', 'ENV größe=1 x=2\nENV r=$größe,${größe}', 'r=1,1'],
  ])('%s: %s', (_number, text, expected) => {
    expect(lastEnv(text)).toBe(expected);
  });
  test('8.2 #44: ${x?msg} of an unset variable fails with its message and place', () => {
    const error = failure('FROM scratch\nENV r=${x?"set x first"}');
    expect(error.code).toBe('E_EXPANSION');
    expect(error.message).toContain('set x first');
    expect(error.range?.start.line).toBe(2);
  });
  test('8.2 #45: a source that expands to nothing copies the context root, with a warning', () => {
    const graph = lowered('FROM scratch\nCOPY $nope /x');
    expect(graph.target.op).toMatchObject({ sources: [{ type: 'path', path: '.' }], destination: '/x' });
    const { warnings } = lint(parse('FROM scratch\nCOPY $nope /x'), {
      options: OPTIONS,
      images: new Map(),
      stages: 'needed',
    });
    expect(warnings.map(({ detail }) => detail)).toEqual(["Usage of undefined variable '$nope'"]);
  });
  test('8.2 #46: WORKDIR ${A}/b without A is /b', () => {
    expect(lowered('FROM base\nWORKDIR ${A}/b').config.WorkingDir).toBe('/b');
  });
  test('8.2 #49: ARG before FROM is for FROM lines only, and ARG of a stage is not for the next FROM', () => {
    expect(envOf(runs('ARG G=1\nFROM base\nRUN x')[0])).not.toHaveProperty('G');
    expect(failure('FROM base\nARG IMG=base\nFROM $IMG\nRUN x').code).toBe('E_EXPANSION');
    expect(envOf(runs('ARG G=1\nFROM base\nARG G\nRUN x')[0])).toHaveProperty('G', '1');
    expect(envOf(runs('ARG G=1\nFROM base\nARG G=2\nRUN x')[0])).toHaveProperty('G', '2');
  });
  test('8.2 #50: FROM --platform=$BUILDPLATFORM', () => {
    const graph = lowered('FROM --platform=$BUILDPLATFORM base\nRUN x', {
      platform: { os: 'linux', architecture: 'arm64' },
    });
    expect(graph.platform.architecture).toBe('amd64');
  });
  test('8.2 #51: TARGETARCH must be declared in the stage', () => {
    expect(envOf(runs('FROM base\nRUN x')[0])).not.toHaveProperty('TARGETARCH');
    expect(envOf(runs('FROM base\nARG TARGETARCH\nRUN x')[0])).toHaveProperty('TARGETARCH', 'amd64');
  });
  test('8.2 #52: --build-arg beats the default, and ENV beats --build-arg', () => {
    const buildArgs = { A: 'cli', B: 'cli' };
    const [run] = runs('FROM base\nARG A=default\nARG B=default\nENV B=env\nRUN x', { buildArgs });
    expect(envOf(run)).toMatchObject({ A: 'cli', B: 'env' });
  });
  test.each([
    ['ENV before ARG', 'ENV x=env\nARG x=arg'],
    ['ARG before ENV', 'ARG x=arg\nENV x=env'],
  ])('8.2 #53: ENV wins over ARG of the same name, %s', (_order, lines) => {
    const text = `FROM base\n${lines}\nENV seen=$x\nRUN y`;
    expect(envOf(runs(text)[0])).toMatchObject({ x: 'env', seen: 'env' });
  });
  test('8.2 #54: FROM stage inherits the ARGs of the parent stage', () => {
    expect(envOf(runs('FROM base AS a\nARG V=1\nFROM a\nRUN x')[0])).toMatchObject({ V: '1' });
  });
  test('8.2 #55: a proxy that nobody declares reaches RUN, but not the history', () => {
    const graph = lowered('FROM base\nRUN x', { buildArgs: { https_proxy: 'http://secret' } });
    expect(graph.target.op).toMatchObject({
      env: [
        ['PATH', '/bin'],
        ['BASE', 'yes'],
      ],
      proxyEnv: [
        ['HTTPS_PROXY', 'http://secret'],
        ['https_proxy', 'http://secret'],
      ],
    });
    expect(JSON.stringify(graph.history)).not.toContain('secret');
    expect(graph.warnings).toEqual([]);
  });
  test('8.2 #56: a build argument without an ARG is a warning that names the nearest one', () => {
    const graph = lowered('FROM base\nARG VERSION\nRUN x', { buildArgs: { VERSOIN: '1' } });
    expect(graph.warnings).toEqual([
      { message: 'Build argument "VERSOIN" is not used: no ARG declares it', hint: 'Did you mean "VERSION"?' },
    ]);
  });
  test('ARG A B=1 C=$B: each argument sees those before it on the line', () => {
    const [run] = runs('FROM base\nARG A B=1 C=$B\nRUN x', { buildArgs: { B: '2' } });
    expect(envOf(run)).toMatchObject({ B: '2', C: '2' });
    expect(envOf(run)).not.toHaveProperty('A');
  });
  test('a default that cannot be expanded does not matter when --build-arg gives the value', () => {
    const text = 'ARG V=${X:?no-X}\nFROM base:$V\nARG W=${Y:?no-Y}\nRUN x';
    expect(envOf(runs(text, { buildArgs: { V: '1', W: '2' } })[0])).toHaveProperty('W', '2');
    expect(failure(text, { buildArgs: { W: '2' } }).message).toContain('no-X');
    expect(failure(text, { buildArgs: { V: '1' } }).message).toContain('no-Y');
  });
  test('TARGETSTAGE is the name of what is built, TARGETOSVERSION and BUILDOSVERSION are there', () => {
    const stage = (text: string, target?: string) =>
      envOf(runs(`${text}\nARG TARGETSTAGE TARGETOSVERSION BUILDOSVERSION\nRUN x`, { target })[0]);
    expect(stage('FROM base')).toMatchObject({ TARGETSTAGE: 'default', TARGETOSVERSION: '', BUILDOSVERSION: '' });
    expect(stage('FROM base AS Last')).toHaveProperty('TARGETSTAGE', 'last');
    expect(stage('FROM base AS a\nFROM a AS b', 'b')).toHaveProperty('TARGETSTAGE', 'b');
  });
  test.each([
    ['the platform is nothing', 'FROM --platform=$TARGETPLATFROM base', 'E_EXPANSION'],
    ['the platform is half a platform', 'FROM --platform=linux/$TARGETARHC base', 'E_BAD_PLATFORM'],
    ['the image is nothing', 'ARG IMAGE=base\nFROM $IMGAE', 'E_EXPANSION'],
    ['the image has no tag', 'ARG VERSION=1\nFROM base:$VERSOIN', 'E_BAD_REFERENCE'],
  ])('a misspelled variable in FROM is named as the cause, with the nearest name, where %s', (_what, text, code) => {
    const error = failure(text);
    expect(error.code).toBe(code);
    expect(error.range?.start.line).toBe(text.split('\n').length);
    expect(error.hint).toMatch(/^Variable "(\w+)" is not set here and expands to nothing\. Did you mean "(\w+)"\?$/);
  });
  test('an ARG without a value is empty on purpose: no warning', () => {
    expect(lowered('FROM base\nARG A\nENV b=$A').warnings).toEqual([]);
  });
  test('BUILDKIT_ arguments are never unused, and those for the SBOM scanner reach no RUN', () => {
    const graph = lowered('FROM base\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nRUN x', {
      buildArgs: { BUILDKIT_INLINE_CACHE: '1', BUILDKIT_SYNTAX: 'docker/dockerfile:1', SOURCE_DATE_EPOCH: '0' },
    });
    expect(graph.warnings).toEqual([]);
    const [run] = runs('FROM base\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nRUN x');
    expect(envOf(run)).not.toHaveProperty('BUILDKIT_SBOM_SCAN_STAGE');
  });
  test('BUILDKIT_SYNTAX of another front-end is a warning that names it', () => {
    const { warnings } = lowered('FROM base', { buildArgs: { BUILDKIT_SYNTAX: 'example.com/mopy' } });
    expect(warnings.map(({ message }) => message)).toEqual([
      'Build argument "BUILDKIT_SYNTAX" is not used: no front-end "example.com/mopy" here',
    ]);
  });
  test('names from the command line cannot reach built-in object members', () => {
    expect(runs('FROM base\nARG toString\nRUN x')[0]?.env.map(([name]) => name)).not.toContain('toString');
  });
});

describe('RUN with a heredoc (reference, section 8.1)', () => {
  test('8.1 #27: a body with #! is a script that runs by itself, with a name that stays in its directory', () => {
    for (const [word, path] of [
      ['EOF', '/dev/pipes/EOF'],
      ['..', '/dev/pipes/_'],
      ['a/b', '/dev/pipes/a_b'],
    ]) {
      const [run] = runs(`FROM base\nRUN <<${word}\n#!/usr/bin/env python3\nprint("$x")\n${word}`);
      expect(run).toMatchObject({ argv: [path], files: [{ path, content: '#!/usr/bin/env python3\nprint("$x")\n' }] });
    }
  });
  test('8.1 #28: another body is the text of the shell, the line that begins like its end included', () => {
    expect(runs('FROM base\nRUN <<EOF\necho $x\nEOF2\nEOF')[0]?.argv).toEqual(['/bin/sh', '-c', 'echo $x\nEOF2\n']);
  });
  test('8.1 #26: a line with more than the heredoc goes to the shell with all bodies', () => {
    expect(runs('FROM base\nRUN cat <<A 3<<-"B" >x\n1\nA\n\t2\n\tB')[0]?.argv.at(-1)).toBe(
      'cat <<A 3<<-"B" >x\n1\nA\n2\nB',
    );
  });
});

describe('State of a stage (reference, section 8.4 and 8.5)', () => {
  test('105: USER reaches the process as written, name or number', () => {
    expect(runs('FROM base\nUSER 1000\nRUN x\nUSER bob:staff\nRUN y').map(({ user }) => user)).toEqual([
      '1000',
      'bob:staff',
    ]);
  });
  test('8.4 #106: WORKDIR belongs to the USER at that point, and the next step makes it', () => {
    const [first, second] = runs('FROM base\nUSER bob\nWORKDIR /a\nUSER root\nRUN x\nRUN y');
    expect(first?.pending).toEqual([{ path: '/a', user: 'bob' }]);
    expect(second?.pending).toEqual([]);
  });
  test('107: scratch has the default PATH and starts in /', () => {
    const { config } = lowered('FROM scratch\nCOPY a /');
    expect(config.Env).toEqual(['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']);
    expect(config.WorkingDir).toBe('/');
  });
  test('108: SHELL is for RUN, CMD and ENTRYPOINT', () => {
    const text = 'FROM base\nSHELL ["bash","-euo","pipefail","-c"]\nRUN x\nENTRYPOINT e';
    expect(runs(text)[0]?.argv).toEqual(['bash', '-euo', 'pipefail', '-c', 'x']);
    expect(lowered(text).config.Entrypoint).toEqual(['bash', '-euo', 'pipefail', '-c', 'e']);
  });
  test('8.5 #119: ENTRYPOINT drops an inherited CMD, and keeps one of its own stage, before or after', () => {
    expect(lowered('FROM base\nENTRYPOINT ["e"]').config.Cmd).toBeUndefined();
    expect(lowered('FROM base\nCMD ["c"]\nENTRYPOINT ["e"]').config.Cmd).toEqual(['c']);
    expect(lowered('FROM base\nENTRYPOINT ["e"]\nCMD ["c"]').config.Cmd).toEqual(['c']);
    expect(lowered('FROM base AS a\nCMD ["c"]\nFROM a\nENTRYPOINT ["e"]').config.Cmd).toBeUndefined();
  });
  test('8.5 #120: CMD in exec form stays as it is, in shell form it takes SHELL', () => {
    expect(lowered('FROM base\nSHELL ["sh","-e"]\nCMD ["a","$b"]').config.Cmd).toEqual(['a', '$b']);
    expect(lowered('FROM base\nSHELL ["sh","-e"]\nCMD a $b').config.Cmd).toEqual(['sh', '-e', 'a $b']);
  });
  test('8.5 #121: as many history entries as instructions; those with a node are the steps', () => {
    const graph = lowered('FROM base\nARG A\nENV B=1\nRUN x\nLABEL c=d\nCOPY a /\nONBUILD RUN y');
    expect(graph.history).toHaveLength(6);
    const nodes = graph.history.flatMap(({ node }) => node ?? []);
    expect(nodes).toEqual(stepsOf(graph).map(({ id }) => id));
    expect(graph.history.every(({ node, entry }) => (entry.empty_layer === true) === (node === undefined))).toBe(true);
  });
  test('8.5 #122: labels from the command line win, whatever their order', () => {
    const { Labels } = lowered('FROM scratch\nLABEL z=1 a=1', { labels: { z: '2' } }).config;
    expect(Labels).toEqual({ a: '1', z: '2' });
  });
  test('8.5 #122: the bytes of a config do not depend on the order in which labels were given', () => {
    const bytes = (text: string, labels: Record<string, string>): string => {
      const { platform, config } = lowered(text, { labels });
      return Buffer.from(encodeConfig({ ...platform, config, rootfs: { type: 'layers', diff_ids: [] } })).toString();
    };
    const one = bytes('FROM scratch\nLABEL b=1 a=2\nLABEL c=3', { e: '5', d: '4' });
    expect(bytes('FROM scratch\nLABEL c=3\nLABEL a=2 b=1', { d: '4', e: '5' })).toBe(one);
    expect(one).toContain('{"a":"2","b":"1","c":"3","d":"4","e":"5"}');
  });
  test('8.5 #128: a trigger of the base copies from a stage of this file, before what the stage says itself', () => {
    const graph = lowered('FROM scratch AS extra\nCOPY x /x\nFROM onbuild-stage\nRUN own');
    const [, copy, own] = stepsOf(graph);
    expect(copy).toMatchObject({
      label: 'COPY --from=extra /x /x',
      inputs: [{}, { stage: 'extra', op: { kind: 'copy' } }],
    });
    expect(own).toMatchObject({ label: 'RUN own', inputs: [{ id: copy?.id }] });
    expect(graph.config.Env).toContain('TRIGGERED=1');
    expect(graph.config.OnBuild).toBeUndefined();
  });
  test('the same work in two stages is one node', () => {
    const graph = lowered(
      'FROM base AS a\nRUN x\nFROM base AS b\nRUN x\nFROM scratch\nCOPY --from=a /f /\nCOPY --from=b /f /g',
    );
    expect(stepsOf(graph).filter(({ op }) => op.kind === 'run')).toHaveLength(1);
  });
  test('a slot keeps its name when an ENV is put before the step', () => {
    const slot = (text: string) => stepsOf(lowered(text)).at(-1)?.slot;
    expect(slot('FROM base AS a\nRUN x\nENV b=1\nRUN y')).toBe(slot('FROM base AS a\nRUN x\nRUN y'));
  });
});

describe('Stages', () => {
  test('an unknown target names the nearest stage', () => {
    const error = failure('FROM base AS builder\nRUN x', { target: 'bulider' });
    expect([error.code, error.hint]).toEqual(['E_UNKNOWN_STAGE', 'Did you mean "builder"?']);
  });
  test.each([
    ['a later stage', 'FROM scratch\nCOPY --from=late /a /\nFROM base AS late\nFROM base'],
    ['itself', 'FROM base AS me\nCOPY --from=me /a /'],
    ['itself by number', 'FROM base\nCOPY --from=0 /a /'],
    ['a number too high', 'FROM base\nCOPY --from=7 /a /'],
  ])('COPY --from %s is an error at its place', (_what, text) => {
    const error = failure(text, text.includes('late') ? { target: '0' } : {});
    expect(error.code).toBe('E_UNKNOWN_STAGE');
    expect(error.range?.start.line).toBe(2);
  });
  test('COPY --from with a variable says to use a stage alias', () => {
    const error = failure('ARG I=base\nFROM base\nCOPY --from=$I /a /');
    expect(error.code).toBe('E_EXPANSION');
    expect(error.hint).toContain('AS source');
  });
  test('errors inside ports and signals carry their place', () => {
    expect(failure('FROM base\nEXPOSE 99999').range?.start.line).toBe(2);
    expect(failure('FROM base\nEXPOSE 80/icmp').code).toBe('E_PARSE');
    expect(failure('FROM base\nSTOPSIGNAL SIGNOPE').range?.start.line).toBe(2);
    expect(failure('FROM base\nSTOPSIGNAL SIGTREM').hint).toBe('Did you mean "SIGTERM"?');
    expect(failure('FROM base\nRUN --network=bridge x').range?.start.line).toBe(2);
  });
});

describe('The images that a target needs', () => {
  const names = (text: string, target?: string) =>
    requiredImages(parse(text), { ...OPTIONS, target }, new Map()).map(({ name }) => name);

  test('are those of its own stages, each once', () => {
    const text =
      'FROM a AS one\nFROM b AS two\nRUN x\nFROM scratch\nCOPY --from=one /x /\nCOPY --from=c:1 /y /\nCOPY --from=docker.io/library/a /z /';
    expect(names(text)).toEqual(['a', 'c:1']);
    expect(names(text, 'two')).toEqual(['b']);
  });
  test('include those that ONBUILD triggers of a base copy from', () => {
    expect(lowered('FROM onbuild\nRUN x').history).toHaveLength(4);
  });
  test('have one key for all spellings of a name', () => {
    expect(imageKey('alpine', OPTIONS.platform)).toBe(imageKey('docker.io/library/alpine:latest', OPTIONS.platform));
  });
  test('with a bad name are an error at its place', () => {
    const error = failure('FROM Bad/Name');
    expect([error.code, error.range?.start.line]).toEqual(['E_BAD_REFERENCE', 1]);
  });
});

describe('Graphs for several platforms', () => {
  const text = `FROM --platform=$BUILDPLATFORM bare AS build
COPY . /src
RUN fetch
ARG TARGETARCH
RUN make $TARGETARCH
FROM bare
COPY --from=build /out /
`;
  const graphs = ['arm64', 'amd64', 'riscv64'].map((architecture) =>
    lowered(text, { platform: { os: 'linux', architecture } }),
  );
  const steps = stepsOf(...graphs);
  const timesOf = (label: string) => steps.filter((step) => step.label === label).length;

  test('have in common what does not depend on the platform that is built for', () => {
    expect(timesOf('COPY . /src')).toBe(1);
    expect(timesOf('RUN fetch')).toBe(1);
    expect(timesOf('RUN make $TARGETARCH')).toBe(3);
    expect(timesOf('COPY --from=build /out /')).toBe(3);
    expect(sourcesOf(...graphs).filter(({ op }) => op.kind === 'context')).toHaveLength(1);
  });

  test('tell their steps apart for the explanation of a miss', () => {
    expect(new Set(steps.map(({ slot }) => slot)).size).toBe(steps.length);
  });

  test('announce each platform with its own steps, and say where a step runs', () => {
    const targets = graphs.map((graph) => ({ graph, platform: graph.platform }));
    const [arm64, amd64] = plansOf(targets).map((plan) => plan.steps.map(({ platform, label }) => [platform, label]));
    expect(arm64).toEqual([
      ['linux/amd64', 'COPY . /src'],
      ['linux/amd64', 'RUN fetch'],
      ['linux/amd64->arm64', 'RUN make $TARGETARCH'],
      ['linux/arm64', 'COPY --from=build /out /'],
    ]);
    expect(amd64?.[2]).toEqual(['linux/amd64', 'RUN make $TARGETARCH']);
    const [alone] = plansOf(targets.slice(0, 1));
    expect(alone?.steps.some((step) => 'platform' in step)).toBe(false);
  });
});
