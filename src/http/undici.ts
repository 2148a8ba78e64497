/** What only talking to a registry needs, to be imported lazily: a bundler gives a CommonJS package's names only to static imports. */
export { createSecureContext } from 'node:tls';
export { Agent, ProxyAgent } from 'undici';
