import { BuildError, type SourceRange } from '../errors.ts';

const PORT = /^(\d+)(?:-(\d+))?(?:\/([a-zA-Z]+))?$/;
const PROTOCOLS = ['tcp', 'udp', 'sctp'];
const MAX_PORT = 65535;

/**
 * `80`, `80/udp`, `7000-7002/tcp` to `port/protocol` names, as in ExposedPorts (OCI image-spec config.md). Of Docker's
 * `ip:host:container` only the container's port is recorded. Throws `E_PARSE`.
 */
export function parsePorts(text: string, range: SourceRange): string[] {
  const [, first, last = first, protocol = 'tcp'] = PORT.exec(text.slice(text.lastIndexOf(':') + 1)) ?? [];
  const from = Number(first);
  const to = Number(last);
  const isValid = first !== undefined && from <= to && to <= MAX_PORT && PROTOCOLS.includes(protocol.toLowerCase());
  if (!isValid) {
    throw new BuildError('E_PARSE', `Invalid port "${text}"`, {
      hint: 'Write a port or a range up to 65535, with /tcp, /udp or /sctp if needed: 80, 53/udp, 7000-7002',
      range,
    });
  }
  return Array.from({ length: to - from + 1 }, (_, index) => `${from + index}/${protocol.toLowerCase()}`);
}
