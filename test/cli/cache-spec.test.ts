import { describe, expect, it } from 'vitest';
import { parseCacheSource, parseCacheTarget } from '../../src/cli/cache-spec.ts';

describe('--cache-from', () => {
  it.each([
    ['quay.io/me/app:1', 'quay.io/me/app:1'],
    ['type=registry,ref=quay.io/me/app', 'quay.io/me/app'],
    ['type=local,src=/var/cache', 'oci:/var/cache:cache'],
  ])('%s', (text, expected) => {
    expect(parseCacheSource(text)).toBe(expected);
  });

  it.each([
    ['type=gha', /type "gha" is not supported/],
    ['type=what', /Unknown type "what"/],
    ['ref=x', /has no type/],
    ['type=registry', /has no ref/],
    ['type=registry,ref=', /has no ref/],
    ['type=local,src=a,tag=b', /Unknown key "tag"/],
    ['type=local,x', /"x" is not KEY=VALUE/],
  ])('%s is an error', (text, expected) => {
    expect(() => parseCacheSource(text)).toThrow(expected);
  });
});

describe('--cache-to', () => {
  it.each([
    ['type=inline', { type: 'inline' }],
    ['quay.io/me/cache', { type: 'image', destination: 'docker://quay.io/me/cache', mode: 'min' }],
    ['type=registry,ref=r/c,mode=max', { type: 'image', destination: 'docker://r/c', mode: 'max' }],
    ['type=local,dest=out', { type: 'image', destination: 'oci:out:cache', mode: 'min' }],
  ])('%s', (text, expected) => {
    expect(parseCacheTarget(text)).toEqual(expected);
  });

  it.each([
    ['type=s3,bucket=b', /type "s3" is not supported/],
    ['type=inline,ref=x', /Unknown key "ref"/],
    ['type=registry,ref=x,mode=most', /mode "most" is not known/],
    ['type=local', /has no dest/],
  ])('%s is an error', (text, expected) => {
    expect(() => parseCacheTarget(text)).toThrow(expected);
  });
});
