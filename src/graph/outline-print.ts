import { location, sourceInfo } from './lint/print.ts';
import type { Outline, OutlineMount } from './outline.ts';
import { textTable } from './text-table.ts';

/** Tables for `--print outline`; ends with a line feed. */
export function outlineText(outline: Outline): string {
  const { name = '(default)', description, args, secrets, ssh, caches } = outline;
  const head = [['TARGET:', name], ...(description === undefined ? [] : [['DESCRIPTION:', description]])];
  const argRows = args.map((arg) => [arg.name, arg.value ?? '', arg.default ?? '', arg.description ?? '']);
  return [
    textTable(head),
    ...section(['BUILD ARG', 'VALUE', 'DEFAULT', 'DESCRIPTION'], argRows),
    ...section(['SECRET', 'REQUIRED'], secrets.map(mountRow)),
    ...section(['SSH', 'REQUIRED'], ssh.map(mountRow)),
    ...section(
      ['CACHE'],
      caches.map(({ id }) => [id]),
    ),
  ].join('\n');
}

const mountRow = ({ id, isRequired }: OutlineMount): string[] => [id, isRequired ? 'true' : ''];

function section(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return rows.length === 0 ? [] : [textTable([head, ...rows])];
}

/** BuildKit's shape (`--call=outline,format=json`), with `default` and `cache` besides. */
export function outlineJson({ source, name, description, args, secrets, ssh, caches }: Outline): string {
  const mount = ({ id, isRequired, range }: OutlineMount): object => ({
    name: id,
    required: isRequired || undefined,
    location: location(range),
  });
  const report = {
    name,
    description,
    args: args.map(({ range, ...arg }) => ({ ...arg, location: location(range) })),
    secrets: secrets.map(mount),
    ssh: ssh.map(mount),
    cache: caches.map(({ id, range }) => ({ ID: id, location: location(range) })),
    sources: [sourceInfo(source).data],
  };
  return `${JSON.stringify(report, undefined, 2)}\n`;
}
