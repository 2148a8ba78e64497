import type { RootView } from '../layers/index.ts';
import { readFileInRoot } from './rootfs-path.ts';

/** In the step's /dev, which is not in any layer. */
const DIRECTORY = '/dev/tsbuild';
const BUNDLE = `${DIRECTORY}/ca-certificates.crt`;
const APT_CONFIG = `${DIRECTORY}/apt.conf`;
const WGET_CONFIG = `${DIRECTORY}/wgetrc`;

/** Where distributions keep the certificates that they trust, all in one file. */
const IMAGE_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt', // Debian, Ubuntu, Alpine, Arch
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem', // Fedora, RHEL
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem', // openSUSE
  '/etc/ssl/cert.pem',
];

const MAX_BUNDLE_BYTES = 8 * 1024 * 1024;

/** What tells programs of a bundle: of them all, only those that the image or an ARG does not set. */
const ENV: Readonly<Record<string, string>> = {
  SSL_CERT_FILE: BUNDLE, // OpenSSL and with it Python, Ruby, PHP, wget; Go; rustls
  SSL_CA_CERT_FILE: BUNDLE, // apk
  CURL_CA_BUNDLE: BUNDLE,
  REQUESTS_CA_BUNDLE: BUNDLE, // Python's requests
  PIP_CERT: BUNDLE,
  GIT_SSL_CAINFO: BUNDLE,
  NODE_EXTRA_CA_CERTS: BUNDLE,
  CARGO_HTTP_CAINFO: BUNDLE,
  AWS_CA_BUNDLE: BUNDLE,
  DENO_CERT: BUNDLE,
  APT_CONFIG, // apt and wget of Debian ask GnuTLS, which knows no variable
  WGETRC: WGET_CONFIG,
};

export interface CaTrust {
  readonly env: Readonly<Record<string, string>>;
  readonly files: readonly { readonly path: string; readonly content: string }[];
}

/**
 * What makes a step trust further certificates (PEM) beside those of its image; for an image without any, beside Mozilla's,
 * because it may be this step that installs them. The image's own bundle is not covered by a mount: what installs or
 * updates certificates there could not replace it.
 */
export async function caTrust(view: RootView, certificates: readonly string[]): Promise<CaTrust | undefined> {
  if (certificates.length === 0) return undefined;
  const known = (await imageBundle(view)) ?? (await import('node:tls')).rootCertificates.join('\n');
  return {
    env: ENV,
    files: [
      { path: BUNDLE, content: `${known.trimEnd()}\n${certificates.map((pem) => `${pem.trimEnd()}\n`).join('')}` },
      { path: APT_CONFIG, content: `Acquire::https::CaInfo "${BUNDLE}";\n` },
      { path: WGET_CONFIG, content: `ca_certificate = ${BUNDLE}\n` },
    ],
  };
}

async function imageBundle(view: RootView): Promise<string | undefined> {
  for (const path of IMAGE_BUNDLES) {
    const text = await readFileInRoot(view, path, MAX_BUNDLE_BYTES);
    if (text?.includes('-----BEGIN')) return text;
  }
  return undefined;
}
