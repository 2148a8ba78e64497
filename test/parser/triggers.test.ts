import { describe, expect, it } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { parseContainerfile, parseTrigger } from '../../src/parser/index.ts';

describe('an ONBUILD trigger', () => {
  it('comes back from the image config as the instruction that it was', () => {
    const text = 'FROM a\nONBUILD COPY --chown=1 <<-EOF b /dst/\n\tbody\n\tEOF\n';
    const [written] = parseContainerfile({ name: 'f', text }).stages[0]?.instructions ?? [];
    if (written?.kind !== 'ONBUILD') throw new Error('no ONBUILD');
    const read = parseTrigger(written.trigger, 'ONBUILD of a', '\\');
    expect(read).toMatchObject({
      kind: 'COPY',
      chown: { text: '1' },
      sources: [
        { type: 'heredoc', heredoc: { name: 'EOF', body: 'body\n' } },
        { type: 'path', path: { text: 'b' } },
      ],
      destination: { text: '/dst/' },
      raw: 'COPY --chown=1 <<-EOF b /dst/',
    });
    expect(written.instruction).toMatchObject({ kind: 'COPY', raw: read.raw });
  });

  it('names the image in its errors', () => {
    try {
      parseTrigger('RUM x', 'ONBUILD of a:1', '\\');
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      expect([error.code, error.range?.source.name]).toEqual(['E_UNKNOWN_INSTRUCTION', 'ONBUILD of a:1']);
    }
  });

  it('is one instruction, and neither FROM, MAINTAINER nor ONBUILD', () => {
    for (const text of ['', 'RUN a\nRUN b', 'FROM x', 'ONBUILD RUN x', 'MAINTAINER me']) {
      expect(() => parseTrigger(text, 'ONBUILD of a', '\\')).toThrow(/ONBUILD/);
    }
  });
});

describe('a tree', () => {
  it('has no limit on the length of a line', () => {
    const script = 'x'.repeat(1_000_000);
    const [run] = parseContainerfile({ name: 'f', text: `FROM a\nRUN ${script}` }).stages[0]?.instructions ?? [];
    expect(run).toMatchObject({ command: { script } });
  });

  it('keeps comments directly above an instruction, without directives', () => {
    const text = '# syntax=x\n# one\n#two\nFROM a\n# far\n\nRUN b\n';
    const [stage] = parseContainerfile({ name: 'f', text }).stages;
    expect([stage?.from.comments, stage?.instructions[0]?.comments]).toEqual([['one', 'two'], []]);
  });

  it('counts columns behind a byte order mark from one', () => {
    const { stages } = parseContainerfile({ name: 'f', text: '\ufeffFROM a' });
    expect(stages[0]?.from.range.start).toEqual({ line: 1, column: 1 });
  });
});
