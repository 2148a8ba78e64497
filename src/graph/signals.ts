import { BuildError, type SourceRange } from '../errors.ts';
import { suggest } from '../parser/index.ts';

/** signal(7), Linux; SIGRTMIN+n and SIGRTMAX-n besides. */
const NAMES: ReadonlySet<string> = new Set(
  (
    'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP ' +
    'TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX'
  ).split(' '),
);
/** SIGRTMAX on Linux. */
const LAST_SIGNAL = 64;

function isSignal(text: string): boolean {
  if (/^\d+$/.test(text)) return Number(text) >= 1 && Number(text) <= LAST_SIGNAL;
  const name = text.toUpperCase().replace(/^SIG/, '');
  const offset = /^RT(?:MIN\+|MAX-)(\d{1,2})$/.exec(name)?.[1];
  return offset === undefined ? NAMES.has(name) : Number(offset) <= 30;
}

/** The signal as written. Throws `E_PARSE` when it is neither a name nor a number of one. */
export function checkSignal(text: string, range: SourceRange): string {
  if (isSignal(text)) return text;
  const near = suggest(
    text,
    [...NAMES].map((name) => `SIG${name}`),
  );
  throw new BuildError('E_PARSE', `Unknown signal "${text}"`, {
    hint:
      near === undefined
        ? 'Write a name such as SIGTERM or SIGRTMIN+3, or a number from 1 to 64'
        : `Did you mean "${near}"?`,
    range,
  });
}
