import { describe, expect, it } from 'vitest';
import { programOf } from '../../src/containers/program.ts';

const options = { command: [], variables: {}, hasTerminal: false, hostname: 'host' };

describe('what a container runs', () => {
  const config = { Entrypoint: ['/entry'], Cmd: ['a', 'b'] };

  it.each([
    ['ENTRYPOINT and CMD of the image', {}, ['/entry', 'a', 'b']],
    ['words in place of CMD', { command: ['x'] }, ['/entry', 'x']],
    ["another entry point, without the image's CMD", { entrypoint: 'sh' }, ['sh']],
    ['another entry point with words', { entrypoint: 'sh', command: ['-c', 'x'] }, ['sh', '-c', 'x']],
    ['words alone with an empty entry point', { entrypoint: '', command: ['x'] }, ['x']],
  ])('is %s', (_, more, argv) => {
    expect(programOf('image0', config, { ...options, ...more }).argv).toEqual(argv);
  });

  it('is the shell of a shell form, which takes the words as its arguments', () => {
    const shell = { Entrypoint: ['/bin/sh', '-c', 'echo $0'] };
    expect(programOf('image0', shell, { ...options, command: ['x'] }).argv).toEqual(['/bin/sh', '-c', 'echo $0', 'x']);
  });

  it('is an error where nobody says what, with the next step', () => {
    expect(() => programOf('image0', {}, options)).toThrow('neither CMD nor ENTRYPOINT');
    expect(() => programOf('image0', config, { ...options, entrypoint: '' })).toThrow('neither CMD nor ENTRYPOINT');
  });

  it("sees the image's variables and those of the command line, which win or take away", () => {
    const withEnv = { Cmd: ['x'], Env: ['A=1', 'B=2=3', 'C=4'] };
    const { env } = programOf('image0', withEnv, { ...options, variables: { A: 'x', C: undefined } });
    expect(env).toMatchObject({ A: 'x', B: '2=3', HOSTNAME: 'host' });
    expect(env).not.toHaveProperty('C');
    expect(env.PATH).toContain('/usr/bin');
  });
});
