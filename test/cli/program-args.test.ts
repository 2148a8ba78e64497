import { describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';
import { plainSwitches, splitProgramArgs } from '../../src/cli/program-args.ts';

const program = createProgram({ context: () => Promise.reject(new Error('not run')), setExitCode: () => {} }, () => {});
const split = (line: string) => splitProgramArgs(line.split(' '), program);

describe('a command line that holds another', () => {
  it.each([
    ['run image0 ls -l', 'image0', 'ls -l'],
    ['run --rm -it image0 sh -c x --rm', '--rm -it image0', 'sh -c x --rm'],
    ['run -p 80:80 -dp 81:81 image0', '-p 80:80 -dp 81:81 image0', ''],
    ['run -p80:80 --name=web image0 -x', '-p80:80 --name=web image0', '-x'],
    ['run --network none image0 true', '--network none image0', 'true'],
    ['run -- image0 --help', 'image0', '--help'],
    ['run image0 -- x', 'image0', '-- x'],
    ['exec -it web sh -i', '-it web', 'sh -i'],
    ['unshare ls -l', '', 'ls -l'],
    ['unshare -- ls -l', '', 'ls -l'],
    ['run --root /s image0 --root x', '--root /s image0', '--root x'],
  ])('%s', (line, own, inner) => {
    const found = split(line);
    expect(found?.own.join(' ')).toBe(own);
    expect(found?.program.join(' ')).toBe(inner);
  });

  it('may have options of the program before the command', () => {
    expect(split('--root /s run image0 ls -l')).toMatchObject({ command: 'run', program: ['ls', '-l'] });
  });

  it.each(['build .', '-t image0 .', 'images -q', 'rm -f web'])('is not %s', (line) => {
    expect(split(line)).toBeUndefined();
  });

  it('takes switches with a value, as programs in Go do', () => {
    const run = program.commands.find((command) => command.name() === 'run');
    expect(plainSwitches(['--rm=true', '--tty=false', '--name=true', 'image0'], run)).toEqual([
      '--rm',
      '--name=true',
      'image0',
    ]);
  });
});
