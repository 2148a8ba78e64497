import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import { formatReference, parseLocalName, parseReference } from '../../src/oci/index.ts';

const HEX = 'a'.repeat(64);

describe('an image reference', () => {
  it.each([
    ['alpine', 'docker.io/library/alpine:latest'],
    ['alpine:3', 'docker.io/library/alpine:3'],
    ['me/app', 'docker.io/me/app:latest'],
    ['docker.io/alpine', 'docker.io/library/alpine:latest'],
    ['index.docker.io/alpine', 'docker.io/library/alpine:latest'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000/app', 'localhost:5000/app:latest'],
    ['quay.io/a/b/c:v1.0_x-y', 'quay.io/a/b/c:v1.0_x-y'],
    ['[::1]:5000/app', '[::1]:5000/app:latest'],
    ['UPPER/app', 'UPPER/app:latest'],
    ['h:1/a:2', 'h:1/a:2'],
    ['a__b/c-d.e', 'docker.io/a__b/c-d.e:latest'],
    [`app@sha256:${HEX}`, `docker.io/library/app@sha256:${HEX}`],
    [`app:1@sha256:${HEX}`, `docker.io/library/app:1@sha256:${HEX}`],
  ])('"%s" is %s', (text, full) => {
    expect(formatReference(parseReference(text))).toBe(full);
  });

  it.each([
    '',
    ':1',
    '/app',
    'app/',
    'a//b',
    'App',
    'quay.io/App',
    'app:',
    'app:-x',
    `app:${'t'.repeat(129)}`,
    'app@',
    'app@sha256:abc',
    `app@md5:${HEX}`,
    `app@sha256:${HEX}@sha256:${HEX}`,
    'a b',
    'app\n',
    'https://quay.io/app',
    'host:port/app',
    '../etc',
    'a/../b',
    '-h.io/app',
    `quay.io/${'a'.repeat(250)}`,
    'a___b',
    'a..b/c',
    '.a/b',
  ])('"%s" is refused with a hint', (text) => {
    expect(() => parseReference(text)).toThrow(BuildError);
    expect(() => parseReference(text)).toThrow(
      expect.objectContaining({ code: 'E_BAD_REFERENCE', hint: expect.any(String) }),
    );
  });

  const component = fc.stringMatching(/^[a-z0-9]{1,8}(?:(?:\.|_|__|-{1,2})[a-z0-9]{1,4}){0,2}$/);
  const host = fc.stringMatching(/^[a-z][a-z0-9]{0,6}\.[a-z]{2,4}(?::[1-9][0-9]{0,3})?$/);
  const reference = fc.tuple(
    fc.option(host),
    fc.array(component, { minLength: 1, maxLength: 4 }),
    fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/)),
    fc.option(fc.stringMatching(/^[a-f0-9]{64}$/)),
  );

  it('says the same again after it was written in full', () => {
    fc.assert(
      fc.property(reference, ([registry, path, tag, hex]) => {
        // Without a registry, a first component with a dot would be one.
        const name = [registry ?? 'ns', ...path].join('/');
        const text = `${name}${tag === null ? '' : `:${tag}`}${hex === null ? '' : `@sha256:${hex}`}`;
        const parsed = parseReference(text);
        expect(parseReference(formatReference(parsed))).toEqual(parsed);
        if (registry !== null) expect(parsed.registry).toBe(registry);
      }),
    );
  });

  it('throws nothing but its own error, and what it takes is stable', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9.:/@_-]{0,30}$/)), (text) => {
        try {
          const parsed = parseReference(text);
          expect(parseReference(formatReference(parsed))).toEqual(parsed);
        } catch (error) {
          if (!(error instanceof BuildError)) throw error;
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the name of an own image', () => {
  it.each([
    ['image0', 'localhost/image0:latest'],
    ['image0:1', 'localhost/image0:1'],
    ['me/image0', 'localhost/me/image0:latest'],
    ['library/image0', 'localhost/library/image0:latest'],
    ['quay.io/me/image0', 'quay.io/me/image0:latest'],
    ['docker.io/image0', 'docker.io/library/image0:latest'],
    ['localhost/x', 'localhost/x:latest'],
  ])('"%s" is %s', (text, full) => {
    expect(formatReference(parseLocalName(text))).toBe(full);
  });
});
