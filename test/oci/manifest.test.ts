import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BuildError } from '../../src/errors.ts';
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  digestOf,
  encodeManifest,
  isIndexDocument,
  MAX_JSON_BYTES,
  type Manifest,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER,
  OCI_MANIFEST,
  parseConfig,
  parseManifest,
} from '../../src/oci/index.ts';

const blob = { mediaType: OCI_LAYER, digest: digestOf('x'), size: 1 };
const manifest: Manifest = {
  schemaVersion: 2,
  mediaType: OCI_MANIFEST,
  config: { ...blob, mediaType: OCI_CONFIG },
  layers: [blob],
};
const parse = (value: unknown, type?: string) => parseManifest(Buffer.from(JSON.stringify(value)), type);

describe('reading a manifest', () => {
  it('gives back what was written', () => {
    expect(parseManifest(encodeManifest(manifest))).toEqual(manifest);
  });

  it('takes the type from the document, then the header, then the members', () => {
    const { mediaType: _, ...untyped } = manifest;
    expect(parse(manifest, DOCKER_MANIFEST).mediaType).toBe(OCI_MANIFEST);
    expect(parse(untyped, DOCKER_MANIFEST).mediaType).toBe(DOCKER_MANIFEST);
    expect(parse(untyped, 'text/plain').mediaType).toBe(OCI_MANIFEST);
    const index = parse({ schemaVersion: 2, manifests: [blob] });
    expect(index.mediaType).toBe(OCI_INDEX);
    expect(isIndexDocument(index)).toBe(true);
  });

  it.each([
    ['two kinds at once', { ...manifest, manifests: [] }],
    ['schema 1', { schemaVersion: 1, fsLayers: [] }],
    ['an index without entries', { mediaType: DOCKER_LIST, layers: [] }],
    ['a manifest without config', { ...manifest, config: undefined }],
    ['a layer with a wrong digest', { ...manifest, layers: [{ ...blob, digest: 'sha256:../../etc/passwd' }] }],
    ['a layer with a sha512 digest', { ...manifest, layers: [{ ...blob, digest: `sha512:${'a'.repeat(128)}` }] }],
    ['a negative size', { ...manifest, layers: [{ ...blob, size: -1 }] }],
    ['a fractional size', { ...manifest, layers: [{ ...blob, size: 1.5 }] }],
    ['a size as text', { ...manifest, layers: [{ ...blob, size: '1' }] }],
    ['URLs that are not a list', { ...manifest, layers: [{ ...blob, urls: 'http://x' }] }],
    ['a platform of numbers', { manifests: [{ ...blob, platform: { os: 1, architecture: 2 } }] }],
    ['a null layer', { ...manifest, layers: [null] }],
    ['a list', []],
    ['null', null],
  ])('refuses %s', (_name, value) => {
    expect(() => parse(value)).toThrow(expect.objectContaining({ code: 'E_BAD_MANIFEST' }));
  });

  it('refuses more than 4 MiB and what is not JSON', () => {
    expect(() => parseManifest(Buffer.alloc(MAX_JSON_BYTES + 1))).toThrow(BuildError);
    expect(() => parseManifest(Buffer.from('{'))).toThrow(BuildError);
  });

  it('throws nothing but its own error', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        for (const value of [a, { layers: a, config: b }, { manifests: [a, b] }, { layers: [a], mediaType: b }]) {
          try {
            parse(value);
          } catch (error) {
            if (!(error instanceof BuildError)) throw error;
          }
        }
      }),
    );
  });
});

describe('reading a config', () => {
  it('refuses what is not one', () => {
    for (const value of [
      '',
      'null',
      '[',
      '"x"',
      '{"rootfs":{"diff_ids":["x"]}}',
      '{"rootfs":{"diff_ids":3}}',
      '{"os":3}',
    ]) {
      expect(() => parseConfig(Buffer.from(value))).toThrow(expect.objectContaining({ code: 'E_BAD_MANIFEST' }));
    }
  });

  it('has a platform even where the bytes name none', () => {
    expect(parseConfig(Buffer.from('{}'))).toMatchObject({ os: 'linux', architecture: 'amd64' });
  });
});
