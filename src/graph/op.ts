import type { SourceRange } from '../errors.ts';
import type { Platform } from '../oci/index.ts';

declare const brand: unique symbol;
/** Hash of an op and its inputs' ids: valid inside one build only (`alpine:latest` moves). */
export type NodeId = string & { readonly [brand]: 'NodeId' };

/** A directory that WORKDIR promises: made by the next op that makes a layer, so that WORKDIR itself costs nothing. */
export interface PendingDirectory {
  /** Absolute, clean. */
  readonly path: string;
  /** USER at that point, as written (`''` is root): new directories belong to it. Existing ones are not touched. */
  readonly user: string;
}

export interface FileContent {
  readonly name: string;
  readonly content: string;
}

/** The image that a stage starts from. */
export interface ImageOp {
  readonly kind: 'image';
  /** Normalised reference. */
  readonly reference: string;
  /** Digest of the manifest that was resolved. */
  readonly digest: string;
  readonly platform: Platform;
}

/** An empty root: `FROM scratch`. */
export interface ScratchOp {
  readonly kind: 'scratch';
}

/** The build context (more of them, by name, later). */
export interface ContextOp {
  readonly kind: 'context';
  readonly name: string;
}

/** RUN. Input 0: the parent. */
export interface RunOp {
  readonly kind: 'run';
  /** Complete: shell and its arguments, or the exec form. */
  readonly argv: readonly string[];
  /** Files to show the process, made and removed around it: the heredoc script with `#!`. Mode 0755, owner root. */
  readonly files: readonly { readonly path: string; readonly content: string }[];
  /** What the process sees, in order of the image's Env, then declared ARGs; a later pair wins. */
  readonly env: readonly (readonly [string, string])[];
  /** Proxy variables: seen by the process, not part of the key (BuildKit does the same). */
  readonly proxyEnv: readonly (readonly [string, string])[];
  readonly cwd: string;
  /** As in USER; `''` is root. */
  readonly user: string;
  readonly network: 'default' | 'none' | 'host';
  readonly pending: readonly PendingDirectory[];
}

export type CopyOpSource =
  /** A path or Go filepath.Match pattern, relative to the root of input 1, expanded. */
  | { readonly type: 'path'; readonly path: string; readonly range: SourceRange }
  | { readonly type: 'inline'; readonly file: FileContent };

/** COPY, and ADD of local sources. Input 0: the parent; input 1: the context, stage or image copied from. */
export interface CopyOp {
  readonly kind: 'copy';
  readonly sources: readonly CopyOpSource[];
  /** Absolute and clean but for a trailing `/`, which is kept: it says "directory". */
  readonly destination: string;
  /** `user[:group]`, names or numbers; absent: 0:0 from a context, kept from a stage or image. */
  readonly chown?: string;
  /** Octal or symbolic. */
  readonly chmod?: string;
  /** ADD: sources that are tar archives (by content) are unpacked. */
  readonly unpack: boolean;
  readonly pending: readonly PendingDirectory[];
}

/** Only the pending directories: a stage that ends in WORKDIR. No layer when all of them exist. Input 0: the parent. */
export interface MakeDirectoriesOp {
  readonly kind: 'mkdir';
  readonly pending: readonly PendingDirectory[];
}

export type Op = ImageOp | ScratchOp | ContextOp | RunOp | CopyOp | MakeDirectoriesOp;

/** Makes or needs a filesystem. ENV, LABEL, CMD and friends are no nodes: they fold into the config. */
export interface Node {
  readonly id: NodeId;
  readonly op: Op;
  readonly inputs: readonly Node[];
  readonly range: SourceRange;
  /** The instruction on one line, as written. */
  readonly label: string;
  /** Name or index of the stage that the step belongs to. */
  readonly stage: string;
  /** `stage/position/kind`: names the step across edits, to compare a miss with. */
  readonly slot: string;
  readonly platform: Platform;
}
