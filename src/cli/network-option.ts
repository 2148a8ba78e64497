import { NETWORK_CHOICES, type NetworkChoice } from '../index.ts';
import { nearest, usageError } from './usage.ts';

/** What other builders call them. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  bridge: 'private',
  rootless: 'private',
  slirp: 'slirp4netns',
  passt: 'pasta',
};

/** The value of `--network`. Throws `E_USAGE`. */
export function parseNetwork(text: string): NetworkChoice {
  const found = NETWORK_CHOICES.find((choice) => choice === text);
  if (found !== undefined) return found;
  const [name = '', ...options] = text.split(':');
  if (options.length > 0 && NETWORK_CHOICES.some((choice) => choice === name)) {
    throw usageError(
      `--network "${text}": options after ":" are not supported`,
      `write --network=${name}; addresses and name servers are set as they have to be, --dns and --add-host change them`,
    );
  }
  const meant = OTHER_NAMES[text] ?? nearest(text, NETWORK_CHOICES);
  throw usageError(
    `--network "${text}" is not known`,
    meant === undefined ? `choose one of: ${NETWORK_CHOICES.join(', ')}` : `did you mean --network=${meant}?`,
  );
}
