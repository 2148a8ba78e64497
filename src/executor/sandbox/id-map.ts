/** `count` ids from `inside` in the namespace are those from `outside` in its parent (user_namespaces(7)). */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** Of /proc/PID/uid_map and gid_map. */
export function parseIdMap(text: string): readonly IdRange[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([inside, outside, count]) =>
      inside === undefined || outside === undefined || !count ? [] : [{ inside, outside, count }],
    );
}

export const formatIdMap = (map: readonly IdRange[]): string =>
  map.map(({ inside, outside, count }) => `${inside} ${outside} ${count}\n`).join('');

/** Every id that the map has, as itself. */
export const identityMap = (map: readonly IdRange[]): readonly IdRange[] =>
  map.map(({ inside, count }) => ({ inside, outside: inside, count }));

export interface SubIdOwner {
  readonly name: string | undefined;
  readonly id: number;
}

/** The map of an ordinary user: 0 is the user, 1 and up are the ranges of subuid(5) in their order; empty without any. */
export function subordinateMap(subIdFile: string, { name, id }: SubIdOwner, own: number): readonly IdRange[] {
  const ranges = subIdFile.split('\n').flatMap((line) => {
    const [owner, start, count] = line.trim().split(':');
    if (owner === undefined || owner.startsWith('#') || (owner !== name && owner !== String(id))) return [];
    return Number(count) > 0 && start !== undefined ? [{ start: Number(start), count: Number(count) }] : [];
  });
  if (ranges.length === 0) return [];
  const map: IdRange[] = [{ inside: 0, outside: own, count: 1 }];
  let inside = 1;
  for (const { start, count } of ranges) {
    map.push({ inside, outside: start, count });
    inside += count;
  }
  return map;
}
