import { type ExposeInstruction, parsePorts } from '../../parser/index.ts';
import type { Findings } from './findings.ts';

/** `port`: one expanded word. Throws `E_PARSE` for what is no port at all. */
export function checkPort(port: string, instruction: ExposeInstruction, findings: Findings): void {
  const parts = port.split(':');
  const protocol = /\/(.*)$/.exec(parts.at(-1) ?? '')?.[1] ?? '';
  if (protocol !== protocol.toLowerCase()) {
    const detail = `Defined protocol '${port}' in EXPOSE instruction should be lowercase`;
    findings.report('ExposeProtoCasing', detail, instruction);
  }
  if (parts.slice(0, -1).some((part) => part !== '')) {
    const detail = `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`;
    findings.report('ExposeInvalidFormat', detail, instruction);
  }
  parsePorts(port, instruction.range);
}
