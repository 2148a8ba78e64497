import type { BuildEvent } from '../../index.ts';
import { formatSize, shortId } from './format.ts';
import { harmless } from './lines.ts';

export type Transfer = Extract<BuildEvent, { type: 'transfer' }>;

export const transferKey = ({ direction, id }: Transfer): string => `${direction} ${id}`;

export const transferTitle = ({ direction, id }: Transfer): string => `${direction} ${harmless(shortId(id))}`;

export const isOver = ({ state }: Transfer): boolean =>
  state !== 'waiting' && state !== 'running' && state !== 'retrying';

/** `pull sha256:0123456789ab 3.2 MB`, `... already there`, `... failed: connection reset` */
export function transferLine(event: Transfer): string {
  const title = transferTitle(event);
  const note = event.note === undefined ? '' : `: ${harmless(event.note)}`;
  const size = event.totalBytes === undefined ? '' : ` ${formatSize(event.totalBytes)}`;
  switch (event.state) {
    case 'waiting':
    case 'running':
      return `${title}${size}${note}`;
    case 'done':
      return `${title} done ${formatSize(event.doneBytes)}${note}`;
    case 'exists':
      return `${title} already there${note}`;
    case 'mounted':
      return `${title} mounted from another repository${note}`;
    case 'retrying':
      return `${title} trying again${note}`;
    case 'failed':
      return `${title} failed${note}`;
    default:
      return event.state satisfies never;
  }
}
