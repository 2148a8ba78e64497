import type { MountSyntax } from './instructions.ts';
import { parseMount } from './mount.ts';

/** The value of the option `--mount`, which is that of the flag of RUN; errors show it as a source of its own. */
export function parseMountOption(text: string): MountSyntax {
  const source = { name: '--mount', text };
  const end = { line: 1, column: text.length + 1 };
  return parseMount({ text, range: { source, start: { line: 1, column: 1 }, end } });
}
