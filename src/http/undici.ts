import { setFlagsFromString } from 'node:v8';
import type { Dispatcher } from 'undici';
import apiRequest from 'undici/lib/api/api-request.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import ProxyAgent from 'undici/lib/dispatcher/proxy-agent.js';

// V8 would begin to optimise undici's parser in the background, and the process would not end before that is done (40 ms).
setFlagsFromString('--no-wasm-tier-up');

/** What only talking to a registry needs, to be imported lazily. */
export { Agent, ProxyAgent };

/** `dispatcher.request`, which undici's index puts there. */
export const request = (dispatcher: Dispatcher, options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData> =>
  apiRequest.call(dispatcher, options);
