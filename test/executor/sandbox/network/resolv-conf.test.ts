import { describe, expect, it } from 'vitest';
import { reachableResolvConf } from '../../../../src/executor/sandbox/network/index.ts';

const inPrivate = (text: string): string => reachableResolvConf(text, { nameServer: '10.0.2.3' });

describe('resolv.conf in a private network', () => {
  it.each([
    ['systemd-resolved', 'nameserver 127.0.0.53\noptions edns0\n', 'nameserver 10.0.2.3\noptions edns0\n'],
    ['a container of Docker', 'search a.b\nnameserver 127.0.0.11\n', 'search a.b\nnameserver 10.0.2.3\n'],
    ['loopback in IPv6', 'nameserver ::1\nnameserver 192.0.2.1\n', 'nameserver 10.0.2.3\nnameserver 192.0.2.1\n'],
    ['an address of one interface', 'nameserver 192.0.2.1\nnameserver fe80::1%eth0\n', 'nameserver 10.0.2.3\n'],
    ['loopback in second place', 'nameserver 192.0.2.1\nnameserver 127.0.0.1\n', 'nameserver 10.0.2.3\n'],
    ['servers elsewhere', 'nameserver 192.0.2.1\nnameserver 192.0.2.2', 'nameserver 10.0.2.3\nnameserver 192.0.2.2'],
    ['the same server twice', 'nameserver 192.0.2.1\nnameserver 192.0.2.1\n', 'nameserver 10.0.2.3\n'],
  ])('asks the server that asks for it: %s', (_, host, expected) => {
    expect(inPrivate(host)).toBe(expected);
  });

  it('invents no server where the host has none', () => {
    expect(inPrivate('')).toBe('');
    expect(inPrivate('# nameserver 127.0.0.1\nsearch a\n')).toBe('# nameserver 127.0.0.1\nsearch a\n');
  });

  it("is the host's in the host's network", () => {
    const text = 'nameserver 127.0.0.53\n';
    expect(reachableResolvConf(text, { nameServer: undefined })).toBe(text);
  });
});
