/**
 * SSH agents for `RUN --mount=type=ssh`: a socket a step, through which its processes reach an agent of the user or one that
 * is started here for key files. Knows nothing about steps but who owns the socket.
 */
export { SshAgents, type SshAgentsOptions, type SshIdentity } from './agents.ts';
