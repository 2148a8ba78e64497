/** A module of its own, to be imported lazily: a bundler gives a CommonJS package's names only to static imports. */
export { Agent, ProxyAgent } from 'undici';
