import ora from 'ora';
import type { BuildEvent } from '../../index.ts';
import type { Host } from '../host.ts';
import { renderError } from './error.ts';
import { formatSize } from './format.ts';
import { harmless } from './lines.ts';
import type { Paint } from './paint.ts';
import type { Renderer } from './renderer.ts';
import { isOver, type Transfer, transferKey, transferLine } from './transfers.ts';
import { warningLines } from './warning.ts';

export interface SpinnerOptions {
  readonly paint: Paint;
  readonly isDebug: boolean;
  /** `Pulling busybox` */
  readonly activity: string;
}

/** For commands that do one thing, at a terminal: one spinner with the sum of all transfers. */
export function createSpinner({ stderr }: Host, { paint, isDebug, activity }: SpinnerOptions): Renderer {
  const title = harmless(activity);
  const stream = stderr as NodeJS.WriteStream; // a terminal was found on it, so it is one
  const spinner = ora({ text: title, stream, discardStdin: false }).start();
  const transfers = new Map<string, Transfer>();
  const above = (lines: readonly string[]) => {
    spinner.clear();
    stderr.write(lines.map((line) => `${line}\n`).join(''));
    spinner.render();
  };
  const emit = (event: BuildEvent) => {
    if (event.type === 'warning') above(warningLines(event, paint));
    if (event.type === 'info') above([harmless(event.message)]);
    if (event.type === 'delegated') spinner.stop();
    if (event.type !== 'transfer') return;
    transfers.set(transferKey(event), event);
    if (event.state === 'retrying' || event.state === 'failed') above([transferLine(event)]);
    spinner.text = `${title}  ${progressOf([...transfers.values()])}`;
  };
  return {
    emit,
    built() {},
    failed(error) {
      spinner.fail(title);
      stderr.write(renderError(error, { paint, isDebug, hasTail: true }));
    },
    close() {
      if (spinner.isSpinning) spinner.succeed(title);
    },
  };
}

/** `2 of 5 blobs, 1.2 MB of 4.0 MB` */
function progressOf(transfers: readonly Transfer[]): string {
  const done = transfers.reduce((sum, { doneBytes }) => sum + doneBytes, 0);
  const total = transfers.reduce((sum, { totalBytes = 0, doneBytes }) => sum + Math.max(totalBytes, doneBytes), 0);
  return `${transfers.filter(isOver).length} of ${transfers.length} blobs, ${formatSize(done)} of ${formatSize(total)}`;
}
