import { describe, expect, it } from 'vitest';
import { holdWarnings } from '../../src/cli/render/hold-warnings.ts';
import { JsonRenderer } from '../../src/cli/render/json.ts';
import { LiveRenderer } from '../../src/cli/render/live.ts';
import { createPaint, PLAIN_PAINT } from '../../src/cli/render/paint.ts';
import { PlainRenderer } from '../../src/cli/render/plain.ts';
import { QuietRenderer } from '../../src/cli/render/quiet.ts';
import { summaryLine } from '../../src/cli/render/summary.ts';
import { BuildError } from '../../src/errors.ts';
import { recordEvents } from '../support/event-recorder.ts';
import { FAILURE, FakeScreen, play, runRange, SUCCESS, SUMMARY } from './recorded-events.ts';

const failure = new BuildError('E_RUN_FAILED', 'The command "make" failed with exit status 2', {
  range: runRange,
  hint: 'read the output',
  fields: { exitStatus: 2 },
  outputTail: ['compiling a.c', 'cost: 3 €'],
});

describe('the plain renderer', () => {
  const make = () => {
    const screen = new FakeScreen();
    return { screen, renderer: new PlainRenderer({ screen, paint: PLAIN_PAINT, isDebug: false }) };
  };

  it('writes stable lines for a build', async () => {
    const { screen, renderer } = make();
    play(renderer, screen, SUCCESS);
    renderer.built(SUMMARY);
    renderer.close();
    await expect(screen.text).toMatchFileSnapshot('goldens/plain-success.txt');
  });

  it('repeats the last output below the error', async () => {
    const { screen, renderer } = make();
    play(renderer, screen, FAILURE);
    renderer.failed(failure);
    renderer.close();
    await expect(screen.text).toMatchFileSnapshot('goldens/plain-failure.txt');
  });

  it('names the platform of each step where there are several, and one that they share once', () => {
    const { screen, renderer } = make();
    const step = (id: string, platform: string) => ({ id, platform, stage: 'build', label: `RUN ${id}` });
    const shared = step('shared', 'linux/amd64');
    renderer.emit({ type: 'plan', steps: [shared, step('one', 'linux/amd64')] });
    renderer.emit({ type: 'plan', steps: [shared, step('two', 'linux/amd64->arm64'), step('three', 'linux/arm64')] });
    for (const id of ['shared', 'one', 'two', 'three']) renderer.emit({ type: 'step.started', step: id });
    renderer.close();
    expect(screen.text.trim().split('\n')).toEqual([
      '#1 [linux/amd64 build 1/2] RUN shared',
      '#2 [linux/amd64 build 2/2] RUN one',
      '#3 [linux/amd64->arm64 build 2/3] RUN two',
      '#4 [linux/arm64 build 3/3] RUN three',
    ]);
  });

  it('says every 30 s that a silent step is alive', () => {
    const { screen, renderer } = make();
    renderer.emit({ type: 'step.started', step: 'RUN sleep' });
    for (screen.time = 1000; screen.time <= 65_000; screen.time += 1000) renderer.heartbeat();
    renderer.close();
    expect(screen.text).toBe('#1 RUN sleep\n#1 still running, 30.0s\n#1 still running, 1m00s\n');
  });
});

describe('a shell in a failed step', () => {
  it('has the terminal for itself: what happens meanwhile is said afterwards', () => {
    const screen = new FakeScreen();
    const size = () => ({ columns: 80, rows: 24 });
    const renderer = new LiveRenderer({ screen, paint: PLAIN_PAINT, isDebug: false, size });
    const steps = ['a', 'b'].map((id) => ({ id, stage: '0', label: `RUN ${id}` }));
    renderer.emit({ type: 'plan', steps });
    for (const { id } of steps) renderer.emit({ type: 'step.started', step: id });
    renderer.emit({ type: 'step.output', step: 'a', stream: 'stdout', chunk: Buffer.from('last words\n') });
    renderer.emit({ type: 'step.shell', step: 'a', state: 'opened' });
    expect(screen.text).toMatch(/ {2}\| last words[^\n]*\n✘ .*RUN a failed; this is a shell[^\n]*\n/);
    const before = screen.text;
    renderer.emit({ type: 'step.finished', step: 'b', durationMs: 10 });
    renderer.redraw();
    expect(screen.text).toBe(before);
    renderer.emit({ type: 'step.shell', step: 'a', state: 'closed' });
    expect(screen.text.slice(before.length)).toMatch(/✔ .*RUN b/);
    renderer.close();
  });
});

describe('the json renderer', () => {
  it('writes one object a line, first the version of the format', async () => {
    const screen = new FakeScreen();
    const renderer = new JsonRenderer({ screen, hasHeader: true });
    play(renderer, screen, SUCCESS);
    renderer.built(SUMMARY);
    const lines = screen.text.trimEnd().split('\n');
    expect(JSON.parse(lines[0] ?? '')).toEqual({ type: 'format', version: 1 });
    expect(lines.map((line) => typeof JSON.parse(line))).not.toContain('string');
    await expect(screen.text).toMatchFileSnapshot('goldens/json-success.jsonl');
  });

  it('gives code, place and fields of an error', async () => {
    const screen = new FakeScreen();
    const renderer = new JsonRenderer({ screen, hasHeader: false });
    renderer.failed(failure);
    await expect(screen.text).toMatchFileSnapshot('goldens/json-failure.jsonl');
  });
});

describe('the quiet renderer', () => {
  it('writes warnings only', () => {
    const screen = new FakeScreen();
    const renderer = new QuietRenderer({ screen, paint: PLAIN_PAINT, isDebug: false });
    play(renderer, screen, SUCCESS);
    renderer.built();
    expect(screen.text).toBe('warning: Containerfile:2:1: JSON array is not valid\n  next: use double quotes\n');
  });
});

describe('the live renderer', () => {
  const make = (columns = 60, rows = 12) => {
    const screen = new FakeScreen();
    const options = { screen, paint: createPaint(true), isDebug: false, size: () => ({ columns, rows }) };
    return { screen, renderer: new LiveRenderer(options) };
  };

  it('shows what runs below what is over', async () => {
    const { screen, renderer } = make();
    play(renderer, screen, SUCCESS.slice(0, -2));
    screen.time = 1000;
    renderer.redraw();
    play(renderer, screen, SUCCESS.slice(-2));
    renderer.built(SUMMARY);
    renderer.close();
    await expect(screen.text.replaceAll('\u001b', '␛')).toMatchFileSnapshot('goldens/live-success.txt');
  });

  it('prints all that it kept of a failed step, and the tail once', () => {
    const { screen, renderer } = make();
    play(renderer, screen, FAILURE);
    renderer.failed(failure);
    renderer.close();
    expect(screen.text.replaceAll('\u001b[K', '')).toContain('  | cost: 3 €\n  | no end\n');
    expect(screen.text).not.toContain('last lines of output');
    expect(screen.text.endsWith('\u001b[?25h\u001b[?7h')).toBe(true);
  });

  it('keeps within the size of the terminal', () => {
    const { screen, renderer } = make(20, 5);
    for (let step = 0; step < 10; step++) renderer.emit({ type: 'step.started', step: `${step} ${'x'.repeat(100)}` });
    renderer.redraw();
    const shown = screen.text.split('\n').filter((line) => line.includes('▸'));
    expect(shown).toHaveLength(3);
    expect(
      Math.max(...shown.map((line) => line.slice(line.indexOf('▸')).split('\u001b')[0]?.length ?? 0)),
    ).toBeLessThan(20);
    renderer.close();
  });
});

describe('the summary', () => {
  it.each([
    [{ steps: 3, cached: 3, durationMs: 80 }, 'image0: 3 steps, all cached, 0.08 s'],
    [{ steps: 1, cached: 1, durationMs: 80 }, 'image0: 1 step, all cached, 0.08 s'],
    [{ steps: 3, cached: 1, durationMs: 12_345 }, 'image0: 3 steps, 1 cached, 12.3 s'],
    [{ steps: 2, cached: 0, durationMs: 125_000 }, 'image0: 2 steps, none cached, 2 min 5 s'],
    [{ steps: 0, cached: 0, durationMs: 10 }, 'image0: no steps, 0.01 s'],
  ])('of %o is "%s"', (part, line) => {
    expect(summaryLine({ ...SUMMARY, ...part })).toBe(line);
  });
});

describe('warnings of the plan', () => {
  const warning = { type: 'warning', message: 'odd' } as const;

  it('are dropped where the run inside the namespace will say them', () => {
    const recorder = recordEvents();
    const { emit, flush } = holdWarnings(recorder.emit);
    emit(warning);
    emit({ type: 'delegated' });
    flush();
    expect(recorder.summary()).toEqual(['delegated']);
  });

  it('come before the plan, and at the latest at the end', () => {
    const recorder = recordEvents();
    const { emit, flush } = holdWarnings(recorder.emit);
    emit(warning);
    emit({ type: 'plan', steps: [] });
    emit(warning);
    flush();
    expect(recorder.summary()).toEqual(['warning', 'plan', 'warning']);
  });
});
