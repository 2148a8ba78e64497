import { type Host, hasColour, isRepeatedRun } from '../host.ts';
import { choice } from '../values.ts';
import { holdWarnings } from './hold-warnings.ts';
import { JsonRenderer } from './json.ts';
import { createPaint } from './paint.ts';
import { PlainRenderer } from './plain.ts';
import { QuietRenderer } from './quiet.ts';
import type { Renderer } from './renderer.ts';

export type ProgressMode = 'auto' | 'plain' | 'tty' | 'json' | 'quiet';

export const progressMode = (text: string): ProgressMode =>
  choice('--progress', text, ['auto', 'plain', 'tty', 'json', 'quiet']);

export interface RendererSettings {
  readonly progress: ProgressMode;
  readonly debug?: boolean;
  readonly explainsCache?: boolean;
  readonly activity?: string;
}

/** The renderer for this run; a live one is loaded only where it is used. */
export async function createRenderer(host: Host, settings: RendererSettings): Promise<Renderer> {
  const renderer = await chooseRenderer(host, settings);
  const { emit, flush } = holdWarnings(renderer.emit);
  return {
    emit,
    built(summary) {
      flush();
      renderer.built(summary);
    },
    failed(error) {
      flush();
      renderer.failed(error);
    },
    close() {
      flush();
      renderer.close();
    },
  };
}

async function chooseRenderer(host: Host, settings: RendererSettings): Promise<Renderer> {
  const { progress, debug = false, explainsCache = false, activity } = settings;
  const screen = { write: (text: string) => void host.stderr.write(text), now: () => host.now() };
  const options = { screen, paint: createPaint(hasColour(host)), isDebug: debug, explainsCache };
  const isLive = progress === 'tty' || (progress === 'auto' && host.stderr.isTTY === true && host.env.TERM !== 'dumb');
  if (progress === 'json') return new JsonRenderer({ screen, hasHeader: !isRepeatedRun(host) });
  if (progress === 'quiet') return new QuietRenderer(options);
  if (!isLive || debug) return new PlainRenderer(options);
  if (activity !== undefined) {
    const { createSpinner } = await import('./spinner.ts');
    return createSpinner(host, { ...options, activity });
  }
  const { LiveRenderer } = await import('./live.ts');
  const size = () => ({ columns: host.stderr.columns ?? 80, rows: host.stderr.rows ?? 24 });
  return new LiveRenderer({ ...options, size });
}
