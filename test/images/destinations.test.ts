import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseDestination } from '../../src/destinations.ts';
import { formatReference } from '../../src/oci/index.ts';

describe('where push writes to', () => {
  it.each([
    ['quay.io/me/app:1', 'registry', 'quay.io/me/app:1'],
    ['docker://quay.io/me/app', 'registry', 'quay.io/me/app:latest'],
    ['me/app', 'registry', 'docker.io/me/app:latest'],
    ['localhost:5000/app', 'registry', 'localhost:5000/app:latest'],
  ])('%s', (text, kind, name) => {
    const destination = parseDestination(text, 'image0');
    expect([destination.kind, formatReference(destination.ref)]).toEqual([kind, name]);
  });

  it.each([
    ['oci:dir', 'oci', 'dir', undefined],
    ['oci:/a/dir:tag', 'oci', '/a/dir', 'tag'],
    ['oci-archive:x.tar:me/app:1', 'oci-archive', 'x.tar', 'me/app:1'],
    ['docker-archive:x.tar', 'docker-archive', 'x.tar', undefined],
  ])('%s', (text, kind, path, name) => {
    expect(parseDestination(text, 'image0')).toMatchObject({ kind, path: resolve(path), ...(name && { name }) });
  });

  it('names an image that was found by its ID', () => {
    expect(formatReference(parseDestination('oci:dir', 'sha256:0123456789ab').ref)).toBe('localhost/image:latest');
  });

  it.each(['oci:', 'docker-archive::x', 'docker-daemon:x', 'dir:/x', 'containers-storage:x'])('refuses %s', (text) => {
    expect(() => parseDestination(text, 'image0')).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});
