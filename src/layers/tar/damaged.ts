import { BuildError } from '../../errors.ts';

/** `E_BAD_LAYER` for an archive that cannot be read; `why` continues `Cannot read the tar: `. */
export const damaged = (why: string, cause?: unknown): BuildError =>
  new BuildError('E_BAD_LAYER', `Cannot read the tar: ${why}`, {
    hint: 'The archive is damaged, cut off or not a tar; fetch it again or make it anew',
    cause,
  });
