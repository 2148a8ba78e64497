import { BuildError, type SourceRange } from '../errors.ts';

/** BuildKit's protocols. */
const PROTOCOLS = new Set(['tcp', 'udp', 'sctp']);
const LARGEST_PORT = 65_535;

/**
 * The ports of one expanded EXPOSE word, as the image's config names them: `80` gives `80/tcp`, `7000-7001/udp` gives two.
 * An address and host port (`127.0.0.1:8080:80`) are read and dropped, as in Docker. Throws E_PARSE at `range`.
 */
export function parsePorts(spec: string, range: SourceRange): string[] {
  const slash = spec.indexOf('/');
  const written = slash < 0 ? spec : spec.slice(0, slash);
  const protocol = (slash < 0 ? 'tcp' : spec.slice(slash + 1) || 'tcp').toLowerCase();
  if (!PROTOCOLS.has(protocol)) {
    throw badPort(spec, `unknown protocol "${protocol}"`, range);
  }
  const { address, host, container } = cutMapping(written);
  if (container === '') throw badPort(spec, 'no port given', range);
  if (address !== '' && !isAddress(address)) throw badPort(spec, `"${address}" is no IP address`, range);
  const [first, last] = parseRange(container, spec, range);
  if (host !== '') {
    const [hostFirst, hostLast] = parseRange(host, spec, range);
    const sameLength = hostLast - hostFirst === last - first;
    if (!sameLength && last !== first) throw badPort(spec, 'the two ranges differ in length', range);
  }
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
}

interface Mapping {
  readonly address: string;
  readonly host: string;
  readonly container: string;
}

/** `[address:][host:]container`; an IPv6 address may stand in brackets or bare. */
function cutMapping(text: string): Mapping {
  const parts = text.split(':');
  const container = parts.at(-1) ?? '';
  const host = parts.length > 1 ? (parts.at(-2) ?? '') : '';
  const address = parts.slice(0, -2).join(':');
  return { address: address.replace(/^\[(.*)\]$/, '$1'), host, container };
}

function isAddress(text: string): boolean {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return text.split('.').every((part) => Number(part) < 256);
  return text.includes(':') && /^[0-9a-f:.]+$/i.test(text);
}

function parseRange(text: string, spec: string, range: SourceRange): [first: number, last: number] {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (!match) throw badPort(spec, `"${text}" is no port`, range);
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (first > LARGEST_PORT || last > LARGEST_PORT) throw badPort(spec, `the largest port is ${LARGEST_PORT}`, range);
  if (last < first) throw badPort(spec, 'the range ends before it begins', range);
  return [first, last];
}

function badPort(spec: string, problem: string, range: SourceRange): BuildError {
  return new BuildError('E_PARSE', `EXPOSE cannot take "${spec}": ${problem}`, {
    hint: 'Write PORT, FIRST-LAST, or either with /tcp, /udp or /sctp',
    range,
  });
}
