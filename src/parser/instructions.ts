import type { SourceFile, SourceRange } from '../errors.ts';

/**
 * The syntax tree of a Containerfile: data only, unexpanded. A `Word` keeps its quotes and `$`; expansion needs a
 * scope and is the graph's work, through the pure function `expand`.
 */
export interface Word {
  /** As written, quotes and escapes included; for a word of a JSON array, the decoded string. */
  readonly text: string;
  readonly range: SourceRange;
}

interface Located {
  readonly range: SourceRange;
  /** The instruction on one logical line, continuations joined, without comments and heredoc bodies: for labels and history. */
  readonly raw: string;
  /** Texts of the comment lines directly above, without `#`. */
  readonly comments: readonly string[];
}

export interface Heredoc {
  /** The unquoted word, e.g. `EOF`; for COPY and ADD the file name. */
  readonly name: string;
  /** False when any part of the word was quoted. */
  readonly expand: boolean;
  /** `<<-`: leading tabs of the body are stripped already. */
  readonly stripTabs: boolean;
  /** The number before `<<`; 0 when absent. */
  readonly fd: number;
  readonly body: string;
  readonly range: SourceRange;
}

export type CommandLine =
  | { readonly form: 'shell'; readonly script: string; readonly heredocs: readonly Heredoc[] }
  | { readonly form: 'exec'; readonly argv: readonly string[] };

export interface FromInstruction extends Located {
  readonly kind: 'FROM';
  readonly image: Word;
  readonly platform?: Word;
  /** Lower-cased. */
  readonly name?: string;
}

export interface RunInstruction extends Located {
  readonly kind: 'RUN';
  readonly command: CommandLine;
  readonly network?: Word;
  /** `--mount`, in order. */
  readonly mounts: readonly MountSyntax[];
  readonly security?: Word;
}

/** One `--mount=key=value,key,...`: CSV fields as written, unexpanded. */
export interface MountSyntax {
  readonly fields: readonly MountField[];
  readonly range: SourceRange;
}

export interface MountField {
  /** Lower-cased, of several spellings the long one: `target` for `dst`. */
  readonly key: string;
  /** Absent for a bare key: `required`, `ro`. */
  readonly value?: Word;
  readonly range: SourceRange;
}

export type CopySource =
  | { readonly type: 'path'; readonly path: Word }
  | { readonly type: 'heredoc'; readonly heredoc: Heredoc };

export interface CopyInstruction extends Located {
  readonly kind: 'COPY';
  readonly sources: readonly CopySource[];
  readonly destination: Word;
  /** Stage name or index, or image; not expanded (as in BuildKit). */
  readonly from?: Word;
  readonly chown?: Word;
  readonly chmod?: Word;
  readonly link: boolean;
  readonly parents: boolean;
  /** Ignore patterns, in order. */
  readonly exclude: readonly Word[];
}

export interface AddInstruction extends Located {
  readonly kind: 'ADD';
  readonly sources: readonly CopySource[];
  readonly destination: Word;
  readonly chown?: Word;
  readonly chmod?: Word;
  readonly link: boolean;
  readonly exclude: readonly Word[];
  /** `sha256:...` of a URL; a commit of a git repository. */
  readonly checksum?: Word;
  readonly keepGitDir: boolean;
  /** Absent: local archives are unpacked, fetched ones are not. */
  readonly unpack?: boolean;
}

export interface KeyValue {
  readonly key: Word;
  readonly value: Word;
}

export interface EnvInstruction extends Located {
  readonly kind: 'ENV';
  readonly pairs: readonly KeyValue[];
}
export interface LabelInstruction extends Located {
  readonly kind: 'LABEL';
  readonly pairs: readonly KeyValue[];
}
export interface ArgInstruction extends Located {
  readonly kind: 'ARG';
  readonly args: readonly { readonly name: string; readonly default?: Word; readonly range: SourceRange }[];
}
export interface WorkdirInstruction extends Located {
  readonly kind: 'WORKDIR';
  readonly path: Word;
}
export interface UserInstruction extends Located {
  readonly kind: 'USER';
  readonly user: Word;
}
export interface ExposeInstruction extends Located {
  readonly kind: 'EXPOSE';
  readonly ports: readonly Word[];
}
export interface VolumeInstruction extends Located {
  readonly kind: 'VOLUME';
  readonly paths: readonly Word[];
}
export interface EntrypointInstruction extends Located {
  readonly kind: 'ENTRYPOINT';
  readonly command: CommandLine;
}
export interface CmdInstruction extends Located {
  readonly kind: 'CMD';
  readonly command: CommandLine;
}
export interface ShellInstruction extends Located {
  readonly kind: 'SHELL';
  readonly argv: readonly string[];
}
export interface StopsignalInstruction extends Located {
  readonly kind: 'STOPSIGNAL';
  readonly signal: Word;
}
export interface HealthcheckInstruction extends Located {
  readonly kind: 'HEALTHCHECK';
  /** undefined: `NONE`. */
  readonly command?: CommandLine;
  /** Nanoseconds. */
  readonly intervalNs?: number;
  readonly timeoutNs?: number;
  readonly startPeriodNs?: number;
  readonly startIntervalNs?: number;
  readonly retries?: number;
}
export interface OnbuildInstruction extends Located {
  readonly kind: 'ONBUILD';
  /** The trigger's text as it is stored in the image's config, heredoc bodies included. */
  readonly trigger: string;
  /** The trigger, parsed, so that a syntax error is found now. */
  readonly instruction: StageInstruction;
}
export interface MaintainerInstruction extends Located {
  readonly kind: 'MAINTAINER';
  readonly author: string;
}

export type StageInstruction =
  | RunInstruction
  | CopyInstruction
  | AddInstruction
  | EnvInstruction
  | LabelInstruction
  | ArgInstruction
  | WorkdirInstruction
  | UserInstruction
  | ExposeInstruction
  | VolumeInstruction
  | EntrypointInstruction
  | CmdInstruction
  | ShellInstruction
  | StopsignalInstruction
  | HealthcheckInstruction
  | OnbuildInstruction
  | MaintainerInstruction;

export type Instruction = FromInstruction | StageInstruction;

export interface StageSyntax {
  readonly from: FromInstruction;
  readonly instructions: readonly StageInstruction[];
}

export interface Directives {
  readonly syntax?: string;
  readonly escape: '\\' | '`';
  readonly check?: string;
}

/** Something that builds, but that the author should know (e.g. an empty continuation line). */
export interface ParseWarning {
  readonly message: string;
  /** The lint rule that says the same: it speaks instead. */
  readonly rule?: 'NoEmptyContinuation';
  readonly range: SourceRange;
}

export interface Containerfile {
  readonly source: SourceFile;
  readonly directives: Directives;
  /** ARG instructions before the first FROM. */
  readonly globalArgs: readonly ArgInstruction[];
  readonly stages: readonly StageSyntax[];
  readonly warnings: readonly ParseWarning[];
}
