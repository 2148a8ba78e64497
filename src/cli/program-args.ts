import type { Command, Option } from 'commander';

/** Commands whose last arguments are a command line of its own. After so many words of ours everything is its. */
const OWN_WORDS: Readonly<Record<string, number>> = { run: 1, exec: 1, unshare: 0 };

/** As docker's status of run and exec: what fails is not the program, but running it. */
export const RUNTIME_FAILED = 125;

/** Whether a usage line is that of a command whose status is a program's. */
export const hasProgramStatus = (usage: string): boolean => /^tsbuild (run|exec) /.test(usage);

export interface SplitArgs {
  /** The command's name, where it is one of these. */
  readonly command: string;
  /** Up to the command's name, with it. */
  readonly before: readonly string[];
  /** Options and words of the command itself. */
  readonly own: readonly string[];
  /** The other command line. */
  readonly program: readonly string[];
}

/**
 * `tsbuild run -it image0 ls -l`: options behind the image are those of `ls`, as in docker. commander would take them all.
 * undefined: another command.
 */
export function splitProgramArgs(args: readonly string[], program: Command): SplitArgs | undefined {
  const at = nextWord(args, 0, program.options);
  const name = args[at] ?? '';
  const command = program.commands.find((candidate) => candidate.name() === name);
  const words = OWN_WORDS[name];
  if (command === undefined || words === undefined) return undefined;
  const options = [...command.options, ...program.options];
  const word = nextWord(args, at + 1, options);
  // `--` ends our options; behind our words it belongs to the program
  const first = args[word] === '--' ? word + 1 : word;
  const end = first + words;
  const own = [...args.slice(at + 1, word), ...args.slice(first, end)];
  return { command: name, before: args.slice(0, at + 1), own, program: args.slice(end) };
}

/** Index of the first argument from `start` on that is neither an option nor the value of one. */
function nextWord(args: readonly string[], start: number, options: readonly Option[]): number {
  let at = start;
  for (let arg = args[at]; arg?.startsWith('-') && arg !== '-' && arg !== '--'; arg = args[at]) {
    at += takesNext(arg, options) ? 2 : 1;
  }
  return at;
}

function takesNext(arg: string, options: readonly Option[]): boolean {
  if (arg.startsWith('--')) return options.some((option) => option.long === arg && option.required);
  const letters = [...arg.slice(1)];
  const index = letters.findIndex((letter) =>
    options.some(({ short, required }) => short === `-${letter}` && required),
  );
  return index >= 0 && index === letters.length - 1;
}

/** Go programs also take `--rm=true`. */
export function plainSwitches(own: readonly string[], command: Command | undefined): readonly string[] {
  return own.flatMap((arg) => {
    const [, name = '', value = ''] = /^(--[\w-]+)=(true|false|1|0)$/.exec(arg) ?? [];
    const isSwitch = command?.options.some((option) => option.long === name && !option.required && !option.optional);
    if (!isSwitch) return [arg];
    return value === 'true' || value === '1' ? [name] : [];
  });
}
