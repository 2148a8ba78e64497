import { connect } from 'node:tls';
import { BuildError } from '../errors.ts';

const TIMEOUT_MS = 3000;

const nameOf = (name: { readonly CN?: string | string[]; readonly O?: string | string[] } | undefined): string =>
  String(name?.CN ?? name?.O ?? 'unknown');

/** Looks at the certificate that was refused (nothing is sent) and names its issuer in the error. */
export async function describeCertificate(failure: BuildError, url: URL): Promise<BuildError> {
  const issuer = await issuerOf(url);
  if (issuer === undefined) return failure;
  return new BuildError(failure.code, `${failure.message} (issued by "${issuer}")`, {
    hint: failure.hint,
    fields: { ...failure.fields, issuer },
    cause: failure.cause,
  });
}

function issuerOf(url: URL): Promise<string | undefined> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(url.port || 443), rejectUnauthorized: false });
    const finish = (issuer: string | undefined): void => {
      resolve(issuer);
      socket.destroy();
    };
    socket.setTimeout(TIMEOUT_MS, () => finish(undefined));
    socket.once('error', () => finish(undefined));
    socket.once('secureConnect', () => {
      const issuer = nameOf(socket.getPeerCertificate().issuer);
      finish(issuer.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 200));
    });
  });
}
