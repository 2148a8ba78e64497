/** The programs that give a network namespace a way out, without privileges on the host; the first that works is taken. */
export const HELPERS = ['pasta', 'slirp4netns'] as const;

export type HelperName = (typeof HELPERS)[number];

/**
 * What a process sees: the network of whoever builds; only lo; or a network of its own that leads out by a helper.
 * `default`: private where that is wanted and works, else host. `own`: private where it works, else none.
 */
export type NetworkMode = 'default' | 'host' | 'none' | 'private' | 'own';

/** What a user may ask for: a private network may name its helper. */
export type NetworkChoice = Exclude<NetworkMode, 'own'> | HelperName;

export const NETWORK_CHOICES: readonly NetworkChoice[] = ['default', 'host', 'none', 'private', ...HELPERS];

export const isHelper = (choice: string): choice is HelperName => HELPERS.some((name) => name === choice);

/** Which helper gives a private network its way out makes no difference to what a step is. */
export const modeOf = (choice: NetworkChoice): Exclude<NetworkMode, 'own'> => (isHelper(choice) ? 'private' : choice);
