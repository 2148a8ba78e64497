import { BuildError, type SourceRange } from '../errors.ts';
import { parseCommandLine } from './command-line.ts';
import { parseFlags } from './flags.ts';
import type { CmdInstruction, EntrypointInstruction, RunInstruction, ShellInstruction, Word } from './instructions.ts';
import { parseMount } from './mount.ts';
import { argsText, rawText, type Statement } from './statement.ts';
import { didYouMean } from './suggest.ts';

const SECURITIES = ['sandbox', 'insecure'];
const NETWORKS = ['default', 'none', 'host'];

export function parseRun(statement: Statement): RunInstruction {
  const flags = parseFlags(statement, 'RUN');
  const network = flags.get('network');
  const security = flags.get('security');
  if (network) checkNetwork(network);
  if (security) checkSecurity(security);
  const command = parseCommandLine(statement);
  return {
    kind: 'RUN',
    command,
    ...(network ? { network } : {}),
    mounts: flags.all('mount').map(parseMount),
    ...(security ? { security } : {}),
    ...located(statement),
  };
}

export function parseCmd(statement: Statement): CmdInstruction {
  parseFlags(statement, 'CMD');
  return { kind: 'CMD', command: parseCommandLine(statement), ...located(statement) };
}

export function parseEntrypoint(statement: Statement): EntrypointInstruction {
  parseFlags(statement, 'ENTRYPOINT');
  return { kind: 'ENTRYPOINT', command: parseCommandLine(statement), ...located(statement) };
}

export function parseShell(statement: Statement): ShellInstruction {
  parseFlags(statement, 'SHELL');
  const command = parseCommandLine(statement);
  if (command.form === 'exec' && command.argv.length > 0) {
    return { kind: 'SHELL', argv: command.argv, ...located(statement) };
  }
  const message =
    command.form === 'exec' || command.script === ''
      ? 'SHELL needs at least one argument'
      : `SHELL must be a JSON array of strings, not "${argsText(statement)}"`;
  throw new BuildError('E_PARSE', message, { hint: 'For example SHELL ["/bin/bash", "-c"]', range: statement.range });
}

function located(statement: Statement): Pick<RunInstruction, 'range' | 'raw' | 'comments'> {
  return { range: statement.range, raw: rawText(statement), comments: statement.comments };
}

/** The sandbox is the default, and all that there is. A value with a variable is checked after expansion. */
function checkSecurity(security: Word): void {
  const { text, range } = security;
  if (text.includes('$') || text === 'sandbox') return;
  throw securityRefusal(text, range);
}

/** `RUN --security` with anything but `sandbox`. */
export function securityRefusal(text: string, range: SourceRange): BuildError {
  if (text !== 'insecure') {
    return new BuildError('E_PARSE', `RUN --security cannot be "${text}"`, {
      hint: didYouMean(text, SECURITIES) ?? `Use ${SECURITIES.join(', ')}`,
      range,
    });
  }
  return new BuildError('E_UNSUPPORTED', 'RUN --security=insecure is not supported', {
    hint: 'A step never gets more rights than a container has; do what needs them when the image runs',
    range,
  });
}

/** A value with a variable is checked after expansion. */
function checkNetwork(network: Word): void {
  if (network.text.includes('$') || NETWORKS.includes(network.text)) return;
  throw new BuildError('E_PARSE', `RUN --network cannot be "${network.text}"`, {
    hint: didYouMean(network.text, NETWORKS) ?? `Use ${NETWORKS.join(', ')}`,
    range: network.range,
  });
}
