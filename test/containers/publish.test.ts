import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatPort, parsePublish } from '../../src/containers/index.ts';
import { BuildError } from '../../src/errors.ts';

const codeOf = (text: string): string => {
  try {
    parsePublish(text);
    return 'none';
  } catch (error) {
    return error instanceof BuildError ? error.code : 'other';
  }
};

describe('--publish', () => {
  it.each([
    ['8001:80', [{ hostPort: 8001, containerPort: 80 }]],
    ['80', [{ hostPort: 0, containerPort: 80 }]],
    ['8001:80/tcp', [{ hostPort: 8001, containerPort: 80 }]],
    ['127.0.0.1:8001:80', [{ address: '127.0.0.1', hostPort: 8001, containerPort: 80 }]],
    ['127.0.0.1::80', [{ address: '127.0.0.1', hostPort: 0, containerPort: 80 }]],
    ['[::1]:8001:80', [{ address: '::1', hostPort: 8001, containerPort: 80 }]],
    [
      '8000-8001:80-81',
      [
        { hostPort: 8000, containerPort: 80 },
        { hostPort: 8001, containerPort: 81 },
      ],
    ],
    [
      '80-81',
      [
        { hostPort: 0, containerPort: 80 },
        { hostPort: 0, containerPort: 81 },
      ],
    ],
  ])('reads %s as docker does', (text, expected) => {
    expect(parsePublish(text)).toEqual(expected);
  });

  it.each([
    ['', 'E_USAGE'],
    ['0:80', 'E_USAGE'],
    ['80:0', 'E_USAGE'],
    ['65536', 'E_USAGE'],
    ['80:', 'E_USAGE'],
    ['a:80', 'E_USAGE'],
    ['-1:80', 'E_USAGE'],
    ['8000-8002:80-81', 'E_USAGE'],
    ['8000-8002:80', 'E_USAGE'],
    ['8002-8000:80-82', 'E_USAGE'],
    ['localhost:8001:80', 'E_USAGE'],
    ['::1:8001:80', 'E_USAGE'],
    ['1.2.3.4:1:2:3', 'E_USAGE'],
    ['80/tcp/udp', 'E_USAGE'],
    ['80/icmp', 'E_USAGE'],
    ['53:53/udp', 'E_UNSUPPORTED'],
  ])('refuses %j by %s', (text, code) => {
    expect(codeOf(text)).toBe(code);
  });

  it('never throws anything but its own errors', () => {
    fc.assert(fc.property(fc.string(), (text) => codeOf(text) !== 'other'));
    fc.assert(fc.property(fc.stringMatching(/^[0-9:./[\]-]{0,30}$/), (text) => codeOf(text) !== 'other'));
  });

  it('is shown as docker shows it', () => {
    expect(formatPort({ hostPort: 8001, containerPort: 80 })).toBe('8001->80/tcp');
    expect(formatPort({ address: '::1', hostPort: 8001, containerPort: 80 })).toBe('[::1]:8001->80/tcp');
  });
});
