import { isIP } from 'node:net';
import { BuildError } from '../errors.ts';

/** A port of the container that this machine answers for; TCP. */
export interface PublishedPort {
  /** Address of this machine; undefined: all of them. */
  readonly address?: string | undefined;
  /** 0: any that is free. */
  readonly hostPort: number;
  readonly containerPort: number;
}

const FORMS = 'Write HOST:CONTAINER, ADDRESS:HOST:CONTAINER or CONTAINER, e.g. 8080:80 or 127.0.0.1:8000-8002:80-82';

const wrong = (text: string, reason: string, hint = FORMS): BuildError =>
  new BuildError('E_USAGE', `Cannot publish "${text}": ${reason}`, { hint });

/** `-p` as docker's: `[[ADDRESS:][HOST]:]CONTAINER[/tcp]`, numbers or ranges. Throws `E_USAGE`, `E_UNSUPPORTED`. */
export function parsePublish(text: string): readonly PublishedPort[] {
  const [ports = '', protocol = 'tcp', ...more] = text.split('/');
  if (more.length > 0) throw wrong(text, 'it has more than one "/"');
  if (protocol !== 'tcp') {
    if (protocol !== 'udp' && protocol !== 'sctp') throw wrong(text, `"${protocol}" is no protocol`);
    throw new BuildError('E_UNSUPPORTED', `Cannot publish "${text}": only TCP ports are supported`, {
      hint: `Leave /${protocol} out, or run with --network host`,
    });
  }
  const { address, host, container } = split(text, ports);
  const inside = rangeOf(text, container);
  const outside = host === '' ? inside.map(() => 0) : rangeOf(text, host);
  if (outside.length !== inside.length) {
    throw wrong(text, `${outside.length} ports of this machine for ${inside.length} of the container`);
  }
  return inside.map((containerPort, index) => ({ address, hostPort: outside[index] ?? 0, containerPort }));
}

function split(text: string, ports: string) {
  const [, bracketed, rest] = /^\[([^\]]*)\]:(.*)$/.exec(ports) ?? [];
  const parts = (rest ?? ports).split(':');
  const container = parts.pop() ?? '';
  const host = parts.pop() ?? '';
  const plain = parts.pop();
  if (parts.length > 0 || (bracketed !== undefined && plain !== undefined)) {
    throw wrong(text, 'it has too many ":"', 'An IPv6 address stands in brackets: [::1]:8080:80');
  }
  const address = bracketed ?? plain;
  if (address !== undefined && isIP(address) === 0) throw wrong(text, `"${address}" is no address`);
  return { address, host, container };
}

function rangeOf(text: string, range: string): readonly number[] {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range) ?? [];
  const [from, to] = [Number(first), Number(last)];
  if (first === undefined || from < 1 || to > 65535) throw wrong(text, `"${range}" is no port from 1 to 65535`);
  if (to < from) throw wrong(text, `the range "${range}" ends before it begins`);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** `0.0.0.0:8080->80/tcp`, as docker's `ps` has it. */
export const formatPort = ({ address, hostPort, containerPort }: PublishedPort): string =>
  `${address === undefined ? '' : `${address.includes(':') ? `[${address}]` : address}:`}${hostPort}->${containerPort}/tcp`;
