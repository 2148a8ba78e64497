import type {
  AddInstruction,
  CommandLine,
  Containerfile,
  CopyInstruction,
  HealthcheckInstruction,
  Heredoc,
  Instruction,
  KeyValue,
  MountSyntax,
  RunInstruction,
  Word,
} from '../../src/parser/index.ts';
import { splitQuoted } from '../../src/parser/words.ts';

type Escape = '\\' | '`';

/** The tree as a Containerfile again: other spacing, quotes and line breaks, the same meaning. */
export function printContainerfile({ directives, globalArgs, stages }: Containerfile): string {
  const lines = [
    ...(directives.syntax === undefined ? [] : [`# syntax=${directives.syntax}`]),
    ...(directives.escape === '\\' ? [] : ['# escape=`']),
    ...(directives.check === undefined ? [] : [`# check=${directives.check}`]),
    // Comments must not be taken for directives.
    '',
    ...globalArgs.flatMap((arg) => printInstruction(arg, directives.escape)),
    ...stages.flatMap(({ from, instructions }) =>
      [from, ...instructions].flatMap((instruction) => printInstruction(instruction, directives.escape)),
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function printInstruction(instruction: Instruction, escapeCharacter: Escape): string[] {
  const [first = '', ...bodies] = print(instruction, escapeCharacter).split('\n');
  const comments = instruction.comments.map((comment) => `# ${comment}`);
  // A form feed falls away like other blanks, but keeps an escape character at the end from continuing the line.
  return [...comments, first.endsWith(escapeCharacter) ? `${first}\f` : first, ...bodies, ''];
}

function print(instruction: Instruction, escapeCharacter: Escape): string {
  switch (instruction.kind) {
    case 'FROM': {
      const name = instruction.name === undefined ? [] : ['AS', instruction.name];
      return ['FROM', ...flag('platform', instruction.platform, escapeCharacter), instruction.image.text, ...name].join(
        ' ',
      );
    }
    case 'RUN':
      return printRun(instruction, escapeCharacter);
    case 'CMD':
    case 'ENTRYPOINT':
      return printCommand([instruction.kind], instruction.command);
    case 'COPY':
    case 'ADD':
      return printCopy(instruction, escapeCharacter);
    case 'ENV':
    case 'LABEL':
      return `${instruction.kind} ${printPairs(instruction.pairs, escapeCharacter)}`;
    case 'ARG':
      return [
        'ARG',
        ...instruction.args.map((arg) => (arg.default ? `${arg.name}=${arg.default.text}` : arg.name)),
      ].join(' ');
    case 'EXPOSE':
      return ['EXPOSE', ...protect(instruction.ports.map(({ text }) => text))].join(' ');
    case 'VOLUME':
      return ['VOLUME', wordsOrJson(instruction.paths)].join(' ');
    case 'WORKDIR':
      return ['WORKDIR', ...protect([instruction.path.text])].join(' ');
    case 'USER':
      return ['USER', ...protect([instruction.user.text])].join(' ');
    case 'STOPSIGNAL':
      return ['STOPSIGNAL', ...protect([instruction.signal.text])].join(' ');
    case 'MAINTAINER':
      return ['MAINTAINER', ...protect([instruction.author])].join(' ');
    case 'SHELL':
      return `SHELL ${JSON.stringify(instruction.argv)}`;
    case 'HEALTHCHECK':
      return printHealthcheck(instruction);
    case 'ONBUILD':
      return `ONBUILD ${instruction.trigger}`;
    default:
      return instruction satisfies never;
  }
}

function printRun({ mounts, network, security, command }: RunInstruction, escapeCharacter: Escape): string {
  const head = [
    'RUN',
    ...mounts.map((mount) => `--mount=${quoteFlag(printMount(mount), escapeCharacter)}`),
    ...flag('network', network, escapeCharacter),
    ...flag('security', security, escapeCharacter),
  ];
  return printCommand(head, command);
}

function printMount({ fields }: MountSyntax): string {
  const texts = fields.map(({ key, value }) => (value ? `${key}=${value.text}` : key));
  return texts.map((text) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(',');
}

function printCommand(head: readonly string[], command: CommandLine): string {
  if (command.form === 'exec') return [...head, JSON.stringify(command.argv)].join(' ');
  return [...head, ...protect([command.script])].join(' ') + command.heredocs.map(printBody).join('');
}

const printBody = ({ body, name }: Heredoc): string => `\n${body}${name}`;

function printCopy(instruction: CopyInstruction | AddInstruction, escapeCharacter: Escape): string {
  const { kind, chown, chmod, link, exclude, sources, destination } = instruction;
  const own =
    kind === 'COPY'
      ? [...flag('from', instruction.from, escapeCharacter), ...(instruction.parents ? ['--parents'] : [])]
      : [
          ...flag('checksum', instruction.checksum, escapeCharacter),
          ...(instruction.keepGitDir ? ['--keep-git-dir=true'] : []),
          ...(instruction.unpack === undefined ? [] : [`--unpack=${instruction.unpack}`]),
        ];
  const head = [
    kind,
    ...own,
    ...flag('chown', chown, escapeCharacter),
    ...flag('chmod', chmod, escapeCharacter),
    ...(link ? ['--link'] : []),
    ...exclude.flatMap((pattern) => flag('exclude', pattern, escapeCharacter)),
  ];
  const heredocs = sources.flatMap((source) => (source.type === 'heredoc' ? [source.heredoc] : []));
  if (heredocs.length === 0) {
    const words = sources.flatMap((source) => (source.type === 'path' ? [source.path] : []));
    return [...head, wordsOrJson([...words, destination])].join(' ');
  }
  const words = sources.map((source) => (source.type === 'path' ? source.path.text : heredocWord(source.heredoc)));
  return [...head, ...protect([...words, destination.text])].join(' ') + heredocs.map(printBody).join('');
}

function heredocWord({ name, expand, stripTabs, fd }: Heredoc): string {
  const escaped = expand ? name.replace(/[^A-Za-z0-9_]/gu, '\\$&') : `"${name.replace(/["$\\]/g, '\\$&')}"`;
  return `${fd === 0 ? '' : fd}<<${stripTabs ? '-' : ''}${escaped}`;
}

function printPairs(pairs: readonly KeyValue[], escapeCharacter: Escape): string {
  const words = pairs.map(({ key, value }) => `${key.text}=${value.text}`);
  const isWord = (text: string): boolean => {
    const [span, ...more] = splitQuoted(text, { from: 0, to: text.length }, escapeCharacter);
    return more.length === 0 && span?.from === 0 && span.to === text.length;
  };
  const text = words.every(isWord)
    ? words.join(' ')
    : pairs.map(({ key, value }) => `${key.text} ${value.text}`).join(' ');
  return protect([text]).join(' ');
}

function printHealthcheck(check: HealthcheckInstruction): string {
  if (!check.command) return 'HEALTHCHECK NONE';
  const durations: [string, number | undefined][] = [
    ['interval', check.intervalNs],
    ['timeout', check.timeoutNs],
    ['start-period', check.startPeriodNs],
    ['start-interval', check.startIntervalNs],
  ];
  const flags = durations.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}ns`]));
  const retries = check.retries === undefined ? [] : [`--retries=${check.retries}`];
  const { command } = check;
  const text = command.form === 'exec' ? JSON.stringify(command.argv) : command.script;
  return ['HEALTHCHECK', ...flags, ...retries, 'CMD', text].join(' ');
}

/** `--` before what would be read as a flag. */
function protect(words: readonly string[]): readonly string[] {
  return words[0]?.startsWith('--') ? ['--', ...words] : words;
}

function wordsOrJson(words: readonly Word[]): string {
  const texts = words.map(({ text }) => text);
  return texts.every((text) => /^[\w./$*?:@~+{}=][\w./$*?:@~+{}=-]*$/.test(text))
    ? texts.join(' ')
    : JSON.stringify(texts);
}

function flag(name: string, value: Word | undefined, escapeCharacter: Escape): string[] {
  return value ? [`--${name}=${quoteFlag(value.text, escapeCharacter)}`] : [];
}

function quoteFlag(value: string, escapeCharacter: Escape): string {
  if (/^[\w.,:/=@$*?{}-]*$/.test(value)) return value;
  // The search for heredocs knows quotes, but `\` only as the escape character: better none.
  const quote = value.includes('"') && !value.includes("'") ? "'" : '"';
  const protect = (character: string): string =>
    character === quote || character === escapeCharacter ? escapeCharacter + character : character;
  return quote + [...value].map(protect).join('') + quote;
}

/** The tree without places and without the text as it was written: what printing may change. */
export function meaningOf(tree: unknown): unknown {
  if (Array.isArray(tree)) return tree.map(meaningOf);
  if (typeof tree !== 'object' || tree === null) return tree;
  const entries = Object.entries(tree).filter(([key]) => !['range', 'raw', 'source', 'warnings'].includes(key));
  return Object.fromEntries(entries.map(([key, value]) => [key, meaningOf(value)]));
}
