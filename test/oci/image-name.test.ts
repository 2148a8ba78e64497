import { describe, expect, it } from 'vitest';
import { formatImageName, parseImageName } from '../../src/oci/index.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('what an image may be called', () => {
  it.each<[string, object]>([
    ['alpine', { transport: 'docker', reference: 'alpine' }],
    ['localhost:5000/oci:1', { transport: 'docker', reference: 'localhost:5000/oci:1' }],
    ['docker://alpine:3', { transport: 'docker', reference: 'alpine:3' }],
    ['docker://oci:latest', { transport: 'docker', reference: 'oci:latest' }],
    ['oci:dir', { transport: 'oci', path: 'dir' }],
    ['oci:dir:tag', { transport: 'oci', path: 'dir', name: 'tag' }],
    ['oci:../a/dir:', { transport: 'oci', path: '../a/dir' }],
    [`oci:dir@${DIGEST}`, { transport: 'oci', path: 'dir', name: DIGEST }],
    [`oci:dir:tag@${DIGEST}`, { transport: 'oci', path: 'dir', name: DIGEST }],
    ['oci-archive:/a/x.tar:me/app:1', { transport: 'oci-archive', path: '/a/x.tar', name: 'me/app:1' }],
    ['docker-archive:x.tar', { transport: 'docker-archive', path: 'x.tar' }],
    ['docker-archive:x.tar:me/app:1', { transport: 'docker-archive', path: 'x.tar', name: 'me/app:1' }],
    ['dir:some:where', { transport: 'dir', path: 'some:where' }],
  ])('%s', (text, expected) => {
    expect(parseImageName(text)).toEqual(expected);
    const formatted = formatImageName(parseImageName(text));
    expect(formatImageName(parseImageName(formatted))).toBe(formatted);
  });

  it.each(['containers-storage:x', 'docker-daemon:x', 'ostree:x', 'tarball:x', 'sif:x'])('is not %s', (text) => {
    expect(() => parseImageName(text)).toThrow(expect.objectContaining({ code: 'E_UNSUPPORTED' }));
  });

  it.each(['oci:', 'dir:', 'oci-archive::tag'])('is not %s, which has no path', (text) => {
    expect(() => parseImageName(text)).toThrow(expect.objectContaining({ code: 'E_BAD_REFERENCE' }));
  });

  it.each(['oci-archve:/tmp/x.tar', 'https://example.com/image'])('is not %s, whose transport there is not', (text) => {
    expect(() => parseImageName(text)).toThrow(
      expect.objectContaining({ code: 'E_BAD_REFERENCE', hint: expect.stringContaining('oci-archive:FILE') }),
    );
  });
});
