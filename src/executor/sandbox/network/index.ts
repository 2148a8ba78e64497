/**
 * Networks of steps and containers: the host's, none, or a private one that leads out by pasta or slirp4netns. Owns the
 * words for them (`NETWORK_CHOICES`), making and ending them (`NetworkPool`), and what /etc/resolv.conf
 * says in them (`resolv-conf.ts`). A network is an open namespace that threads of this process join by its path; nothing
 * here starts a step. To be used inside `enterNamespace`, except for the probe.
 */
export type { Network, NetworkWish } from './create.ts';
export { type HelperName, isHelper, modeOf, NETWORK_CHOICES, type NetworkChoice, type NetworkMode } from './mode.ts';
export { NetworkPool } from './pool.ts';
export { probeNetwork } from './probe.ts';
export { reachableResolvConf } from './resolv-conf.ts';
