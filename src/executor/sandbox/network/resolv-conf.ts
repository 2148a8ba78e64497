/** Of the host only: its loopback, and addresses that name an interface of it. */
const UNREACHABLE = /^(127\.|::1$|0\.0\.0\.0$|::$|.*%)/;

/**
 * The host's resolv.conf for a network. A private one has a server that asks the host's first one, as the host would: it
 * takes the place of that one, and of all that only the host itself can reach (systemd-resolved's 127.0.0.53, dnsmasq,
 * Docker's 127.0.0.11). Beside it the first one could not be asked: to older pastas its answers are those of the other.
 */
export function reachableResolvConf(text: string, { nameServer }: { readonly nameServer: string | undefined }): string {
  const lines = text.split('\n');
  const first = lines.findIndex((line) => addressOf(line) !== undefined);
  if (nameServer === undefined || first === -1) return text;
  const isReplaced = (line: string): boolean => {
    const address = addressOf(line);
    return address !== undefined && (address === addressOf(lines[first] ?? '') || UNREACHABLE.test(address));
  };
  return lines
    .flatMap((line, index) => (index === first ? [`nameserver ${nameServer}`] : isReplaced(line) ? [] : [line]))
    .join('\n');
}

const addressOf = (line: string): string | undefined => /^\s*nameserver\s+(\S+)/.exec(line)?.[1];
