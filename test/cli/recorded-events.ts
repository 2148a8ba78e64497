import type { BuiltSummary, Renderer } from '../../src/cli/render/renderer.ts';
import type { SourceRange } from '../../src/errors.ts';
import type { BuildEvent } from '../../src/events.ts';
import { parseDigest } from '../../src/oci/index.ts';

const text = 'FROM base AS build\nRUN make\nCOPY --from=build /out /app\n';
const source = { name: 'Containerfile', text };

export const runRange: SourceRange = { source, start: { line: 2, column: 1 }, end: { line: 2, column: 9 } };

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
const bytes = (value: string): Uint8Array => Buffer.from(value);
const euro = bytes('€');

const MAKE = { step: 'make' };
const TEST = { step: 'test' };

/** One event with the time at which it came, in milliseconds. */
export interface Recorded {
  readonly at: number;
  readonly event: BuildEvent;
}

const at = (time: number, event: BuildEvent): Recorded => ({ at: time, event });
const output = (step: string, stream: 'stdout' | 'stderr', chunk: Uint8Array): BuildEvent => ({
  type: 'step.output',
  step,
  stream,
  chunk,
});

const START: readonly Recorded[] = [
  at(0, { type: 'warning', message: 'JSON array is not valid', range: runRange, hint: 'use double quotes' }),
  at(10, {
    type: 'plan',
    steps: [
      { id: 'copy', stage: 'build', label: 'COPY . /src' },
      { id: 'make', stage: 'build', label: 'RUN make' },
      { id: 'test', stage: 'test', label: 'RUN ./test \u001b[31m--all' },
    ],
  }),
  at(20, { type: 'step.cached', step: 'copy', level: 'inputs', created: '2024-01-01T00:00:00Z' }),
  at(30, { type: 'step.miss', ...MAKE, component: 'sources', reason: 'COPY . /src: 1 file changed (a.c content)' }),
  at(40, { type: 'transfer', id: DIGEST, direction: 'pull', state: 'waiting', doneBytes: 0, totalBytes: 4_000_000 }),
  at(50, { type: 'transfer', id: DIGEST, direction: 'pull', state: 'running', doneBytes: 0, totalBytes: 4_000_000 }),
  at(150, {
    type: 'transfer',
    id: DIGEST,
    direction: 'pull',
    state: 'running',
    doneBytes: 2_000_000,
    totalBytes: 4_000_000,
  }),
  at(180, {
    type: 'transfer',
    id: DIGEST,
    direction: 'pull',
    state: 'retrying',
    doneBytes: 2_000_000,
    note: 'connection reset',
  }),
  at(250, {
    type: 'transfer',
    id: DIGEST,
    direction: 'pull',
    state: 'done',
    doneBytes: 4_000_000,
    totalBytes: 4_000_000,
  }),
  at(300, { type: 'step.started', ...MAKE }),
  at(310, { type: 'step.started', ...TEST }),
  at(400, output('make', 'stdout', bytes('compiling a.c\ncost: 3 '))),
  at(410, output('test', 'stderr', bytes('10%\r50%\r100%\r\n\u001b[2J\u001b]0;title\u0007bell\u0007\n'))),
  at(420, output('make', 'stdout', euro.subarray(0, 2))),
  at(430, output('make', 'stdout', Buffer.concat([euro.subarray(2), bytes('\nno end')]))),
  at(500, { type: 'info', message: 'Using the built-in sandbox' }),
];

export const SUCCESS: readonly Recorded[] = [
  ...START,
  at(1500, { type: 'step.finished', ...MAKE, durationMs: 1200, diffId: DIGEST, sizeBytes: 1024 }),
  at(40_000, { type: 'step.finished', ...TEST, durationMs: 39_690 }),
];

export const FAILURE: readonly Recorded[] = [...START, at(1500, { type: 'step.failed', ...MAKE, durationMs: 1200 })];

export const SUMMARY: BuiltSummary = {
  kind: 'built',
  title: 'image0',
  imageId: parseDigest(DIGEST),
  manifest: parseDigest(DIGEST),
  descriptor: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: parseDigest(DIGEST), size: 500 },
  names: ['localhost/image0:latest'],
  steps: 3,
  cached: 1,
  durationMs: 40_123,
};

/** A screen whose clock is set by the events that are played. */
export class FakeScreen {
  text = '';
  time = 0;

  write(text: string): void {
    this.text += text;
  }

  now(): number {
    return this.time;
  }
}

export function play(renderer: Renderer, screen: FakeScreen, recorded: readonly Recorded[]): void {
  for (const { at: time, event } of recorded) {
    screen.time = time;
    renderer.emit(event);
  }
}
