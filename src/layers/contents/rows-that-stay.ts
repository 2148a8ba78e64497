import type { Row } from './block.ts';
import { decodeTimes } from './place.ts';

interface Directory {
  readonly path: string;
  readonly since: number;
}

/**
 * Of all that was put into a tree, in the order of paths: what is still there. What was in something that another thing replaced is
 * not. Directories whose paths a path begins with, by characters, come before it without a gap; its parent is one of them.
 */
export function* rowsThatStay(rows: Iterable<Row>): Generator<Row> {
  const before: Directory[] = [];
  for (const row of rows) {
    const { key, value } = row;
    const { time, since } = decodeTimes(value);
    for (let last = before.at(-1); last && !key.startsWith(last.path); last = before.at(-1)) before.pop();
    if (key !== '') {
      const parent = withLength(before, Math.max(0, key.lastIndexOf('/')));
      if (!parent || time < parent.since) continue;
    }
    if (since > 0) before.push({ path: key, since });
    yield row;
  }
}

/** They become longer and longer. */
function withLength(directories: readonly Directory[], length: number): Directory | undefined {
  let [low, high] = [0, directories.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((directories[middle]?.path.length ?? 0) < length) low = middle + 1;
    else high = middle;
  }
  const found = directories[low];
  return found?.path.length === length ? found : undefined;
}
