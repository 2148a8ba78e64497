import { Agent, type IncomingMessage, request as open } from 'node:http';
import type { HttpRequest, Timeouts } from './request.ts';

export interface PlainAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: IncomingMessage;
}

/** undici's own names: `failures.ts` has words for them. */
type TimeoutCode = 'UND_ERR_CONNECT_TIMEOUT' | 'UND_ERR_HEADERS_TIMEOUT' | 'UND_ERR_BODY_TIMEOUT';

/**
 * Exchanges without a body over plain http by what Node has in itself: a question to this machine's registry is answered
 * before undici is loaded, and its parser (WebAssembly) compiled.
 */
export class PlainExchange {
  readonly #agent = new Agent({ keepAlive: true });
  readonly #timeouts: Timeouts;

  constructor(timeouts: Timeouts) {
    this.#timeouts = timeouts;
  }

  send({ method, url, signal }: HttpRequest, headers: Readonly<Record<string, string>>): Promise<PlainAnswer> {
    const { connect, headers: answer, body } = this.#timeouts;
    return new Promise((resolve, reject) => {
      const exchange = open(url, { method, headers, agent: this.#agent, ...(signal === undefined ? {} : { signal }) });
      let timer: NodeJS.Timeout | undefined;
      const wait = (ms: number, code: TimeoutCode): void => {
        clearTimeout(timer);
        timer = setTimeout(() => exchange.destroy(Object.assign(new Error('timed out'), { code })), ms);
      };
      const waitForAnswer = (): void => wait(answer, 'UND_ERR_HEADERS_TIMEOUT');
      wait(connect, 'UND_ERR_CONNECT_TIMEOUT');
      exchange.on('socket', (socket) => {
        if (socket.connecting) socket.once('connect', waitForAnswer);
        else waitForAnswer();
      });
      exchange.on('response', (message) => {
        wait(body, 'UND_ERR_BODY_TIMEOUT');
        resolve({ statusCode: message.statusCode ?? 0, headers: message.headers, body: message });
      });
      exchange.on('error', reject);
      exchange.on('close', () => clearTimeout(timer));
      exchange.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
