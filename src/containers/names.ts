import { randomBytes } from 'node:crypto';
import { BuildError } from '../errors.ts';

export const newId = (): string => randomBytes(32).toString('hex');

/** Docker's rule. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;

/** Throws `E_USAGE`. */
export function checkName(name: string): string {
  if (NAME.test(name)) return name;
  throw new BuildError('E_USAGE', `"${name}" cannot be the name of a container`, {
    hint: 'Begin with a letter or digit; then letters, digits, "_", "." and "-", 128 at most',
  });
}

/** `image0-1f2e` for `quay.io/me/image0:1.2`. */
export function nameFor(image: string, id: string): string {
  const last = image.replace(/@.*$/, '').split('/').at(-1)?.split(':')[0] ?? '';
  const clean = last.replace(/[^a-zA-Z0-9_.-]/g, '').replace(/^[^a-zA-Z0-9]+/, '');
  return `${clean === '' || /^[0-9a-f]{64}$/.test(clean) ? 'container' : clean.slice(0, 60)}-${id.slice(0, 4)}`;
}
