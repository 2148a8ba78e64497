import type { SourceRange } from '../errors.ts';
import type {
  AddInstruction,
  CommandLine,
  Containerfile,
  CopySource,
  HealthcheckInstruction,
  Heredoc,
  Instruction,
  KeyValue,
  MountSyntax,
  Word,
} from './instructions.ts';

/**
 * The tree as text, one fact a line, with places as line:column-line:column: what goldens compare. Stable: a change of
 * this form changes every golden.
 */
export function dumpContainerfile(file: Containerfile): string {
  const { directives } = file;
  const lines = [
    ...(directives.syntax === undefined ? [] : [`directive syntax ${quote(directives.syntax)}`]),
    ...(directives.escape === '\\' ? [] : [`directive escape ${quote(directives.escape)}`]),
    ...(directives.check === undefined ? [] : [`directive check ${quote(directives.check)}`]),
    ...file.globalArgs.flatMap(dumpInstruction),
    ...file.stages.flatMap((stage, index) => [
      `stage ${index}`,
      ...[stage.from, ...stage.instructions].flatMap(dumpInstruction).map(indent),
    ]),
    ...file.warnings.map((warning) => `warning ${place(warning.range)} ${warning.message}`),
  ];
  return `${lines.join('\n')}\n`;
}

function dumpInstruction(instruction: Instruction): string[] {
  return [
    `${instruction.kind} ${place(instruction.range)}`,
    ...instruction.comments.map((comment) => indent(`comment ${quote(comment)}`)),
    ...dumpFields(instruction).map(indent),
  ];
}

function dumpFields(instruction: Instruction): string[] {
  switch (instruction.kind) {
    case 'FROM':
      return [
        word('image', instruction.image),
        ...optional('platform', instruction.platform),
        ...(instruction.name === undefined ? [] : [`name ${quote(instruction.name)}`]),
      ];
    case 'RUN':
      return [
        ...optional('network', instruction.network),
        ...optional('security', instruction.security),
        ...instruction.mounts.map(dumpMount),
        ...dumpCommand(instruction.command),
      ];
    case 'CMD':
    case 'ENTRYPOINT':
      return dumpCommand(instruction.command);
    case 'COPY':
    case 'ADD':
      return [
        ...(instruction.kind === 'COPY' ? optional('from', instruction.from) : []),
        ...optional('chown', instruction.chown),
        ...optional('chmod', instruction.chmod),
        ...(instruction.link ? ['link'] : []),
        ...(instruction.kind === 'COPY' && instruction.parents ? ['parents'] : []),
        ...instruction.exclude.map((pattern) => word('exclude', pattern)),
        ...(instruction.kind === 'ADD' ? dumpAdd(instruction) : []),
        ...instruction.sources.map(dumpSource),
        word('destination', instruction.destination),
      ];
    case 'ENV':
    case 'LABEL':
      return instruction.pairs.map(dumpPair);
    case 'ARG':
      return instruction.args.map((arg) => {
        const value = arg.default ? ` = ${quote(arg.default.text)} ${place(arg.default.range)}` : '';
        return `arg ${quote(arg.name)}${value}`;
      });
    case 'EXPOSE':
      return instruction.ports.map((port) => word('port', port));
    case 'VOLUME':
      return instruction.paths.map((path) => word('path', path));
    case 'WORKDIR':
      return [word('path', instruction.path)];
    case 'USER':
      return [word('user', instruction.user)];
    case 'STOPSIGNAL':
      return [word('signal', instruction.signal)];
    case 'SHELL':
      return [`exec ${quoteAll(instruction.argv)}`];
    case 'MAINTAINER':
      return [`author ${quote(instruction.author)}`];
    case 'HEALTHCHECK':
      return dumpHealthcheck(instruction);
    case 'ONBUILD':
      return [`trigger ${quote(instruction.trigger)}`, ...dumpInstruction(instruction.instruction)];
    default:
      return instruction satisfies never;
  }
}

function dumpMount(mount: MountSyntax): string {
  const fields = mount.fields.map(({ key, value }) => (value ? `${key}=${quote(value.text)}` : key));
  return `mount ${place(mount.range)} ${fields.join(' ')}`;
}

function dumpAdd({ checksum, keepGitDir, unpack }: AddInstruction): string[] {
  return [
    ...optional('checksum', checksum),
    ...(keepGitDir ? ['keep-git-dir'] : []),
    ...(unpack === undefined ? [] : [`unpack ${unpack}`]),
  ];
}

function dumpHealthcheck(check: HealthcheckInstruction): string[] {
  const numbers = {
    intervalNs: check.intervalNs,
    timeoutNs: check.timeoutNs,
    startPeriodNs: check.startPeriodNs,
    startIntervalNs: check.startIntervalNs,
    retries: check.retries,
  };
  const given = Object.entries(numbers).filter(([, value]) => value !== undefined);
  return [
    ...given.map(([name, value]) => `${name} ${value}`),
    ...(check.command ? dumpCommand(check.command) : ['none']),
  ];
}

function dumpCommand(command: CommandLine): string[] {
  if (command.form === 'exec') return [`exec ${quoteAll(command.argv)}`];
  return [`shell ${quote(command.script)}`, ...command.heredocs.map(dumpHeredoc)];
}

function dumpSource(source: CopySource): string {
  return source.type === 'path' ? word('source', source.path) : dumpHeredoc(source.heredoc);
}

function dumpHeredoc(heredoc: Heredoc): string {
  const traits = [
    ...(heredoc.expand ? [] : ['quoted']),
    ...(heredoc.stripTabs ? ['strip-tabs'] : []),
    ...(heredoc.fd === 0 ? [] : [`fd=${heredoc.fd}`]),
  ];
  return ['heredoc', quote(heredoc.name), place(heredoc.range), ...traits, quote(heredoc.body)].join(' ');
}

function dumpPair(pair: KeyValue): string {
  return `pair ${quote(pair.key.text)} ${place(pair.key.range)} = ${quote(pair.value.text)} ${place(pair.value.range)}`;
}

function optional(name: string, value: Word | undefined): string[] {
  return value ? [word(name, value)] : [];
}

function word(name: string, value: Word): string {
  return `${name} ${quote(value.text)} ${place(value.range)}`;
}

function place({ start, end }: SourceRange): string {
  return `${start.line}:${start.column}-${end.line}:${end.column}`;
}

function quoteAll(values: readonly string[]): string {
  return `[${values.map(quote).join(', ')}]`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}

function indent(line: string): string {
  return `  ${line}`;
}
