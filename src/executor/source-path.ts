/** Paths in a source root: relative and clean, `''` is the root. */

/** `path` lies in `directory`, or is it. */
export const relativeTo = (directory: string, path: string): string =>
  directory === '' ? path : path.slice(directory.length + 1);

/** `directory` lies somewhere below `path`. */
export const isAbove = (path: string, directory: string): boolean =>
  path === '' ? directory !== '' : directory.startsWith(`${path}/`);
