import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RegistryAccess } from './api.ts';
import { BuildError, systemErrorCode } from './errors.ts';

const BLOCK = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]+-----END (?:TRUSTED )?CERTIFICATE-----/g;

/** The certificates of `--ca-file`, one PEM text each; none without the option. Throws `E_USAGE`. */
export function readCaFile({ caFile }: RegistryAccess): readonly string[] {
  if (caFile === undefined) return [];
  const blocks = readText(caFile).match(BLOCK) ?? [];
  if (blocks.length === 0) {
    throw new BuildError('E_USAGE', `Cannot use "${caFile}" for --ca-file: there is no certificate in it`, {
      hint: 'Give a file in PEM: "openssl x509 -inform der -in FILE -out ca.pem" makes one of a DER file',
    });
  }
  return blocks.map((block, index) => check(block, `certificate ${index + 1} in "${caFile}"`));
}

function check(block: string, what: string): string {
  try {
    return new X509Certificate(block).toString();
  } catch (cause) {
    const hint = 'Look at it with: openssl x509 -in FILE -text';
    throw new BuildError('E_USAGE', `Cannot read ${what}`, { hint, cause });
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new BuildError('E_USAGE', `Cannot read "${path}" for --ca-file: ${systemErrorCode(cause) ?? cause}`, {
      hint: 'Give the path of a file with certificates in PEM',
      cause,
    });
  }
}
