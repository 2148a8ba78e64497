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

/** A local directory: the build context (`context`), or one of `--build-context`. */
export interface ContextOp {
  readonly kind: 'context';
  readonly name: string;
}

/** A file behind a URL: a root that holds just this file, mode 0600. */
export interface HttpOp {
  readonly kind: 'http';
  readonly url: string;
  /** What the file is called in its root. */
  readonly name: string;
  /** `algorithm:hex`. */
  readonly checksum?: string;
  /** The root holds what is in the file, if that is a tar archive: a context. */
  readonly unpack?: boolean;
}

/** The tree of a git repository at one commit. */
export interface GitOp {
  readonly kind: 'git';
  /** Without ref and options. */
  readonly url: string;
  /** Branch, tag, `refs/...` or commit; absent: the remote's HEAD. */
  readonly ref?: string;
  /** Clean and relative: only what is below is in the root. */
  readonly subdir?: string;
  readonly keepGitDir: boolean;
  readonly submodules: boolean;
  /** The commit, or the beginning of it, that the ref must be. */
  readonly checksum?: string;
}

/** RUN. Input 0: the parent; further inputs: the roots that its mounts read. */
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
  readonly network: 'default' | 'none' | 'host' | 'private';
  readonly mounts: readonly RunMount[];
  readonly pending: readonly PendingDirectory[];
}

/** `RUN --mount`, expanded; targets are absolute and clean. `range`: where it is written, for errors. */
export type RunMount = { readonly range: SourceRange } & RunMountKind;

type RunMountKind =
  | {
      readonly type: 'bind';
      readonly target: string;
      /** Index into the node's inputs: the root that is mounted. */
      readonly input: number;
      /** Absolute in that root. */
      readonly source: string;
      /** A writable one keeps its writes to itself: they are discarded after the step. */
      readonly readOnly: boolean;
    }
  | {
      readonly type: 'cache';
      readonly target: string;
      /** With its namespace (BUILDKIT_CACHE_MOUNT_NS): what makes two mounts one cache. */
      readonly id: string;
      readonly sharing: 'shared' | 'private' | 'locked';
      readonly readOnly: boolean;
      /** What a new cache starts with; absent: an empty directory. */
      readonly input?: number;
      /** Absolute in the input, or in the cache. */
      readonly source: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly type: 'tmpfs'; readonly target: string; readonly sizeBytes?: number; readonly readOnly: boolean }
  | {
      readonly type: 'secret';
      readonly id: string;
      /** Absent: only in the environment. */
      readonly target?: string;
      readonly env?: string;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      readonly type: 'ssh';
      readonly id: string;
      readonly target: string;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

export type CopyOpSource =
  /** A path or Go filepath.Match pattern, relative to the root of an input, expanded. */
  | {
      readonly type: 'path';
      readonly path: string;
      /** What the user calls it, where that is not the path: a URL. Not part of the key: the content is. */
      readonly written?: string;
      readonly range: SourceRange;
      /** Index into the node's inputs. */
      readonly input: number;
      /** A tar archive (by content) is unpacked. */
      readonly unpack: boolean;
    }
  | { readonly type: 'inline'; readonly file: FileContent };

/** COPY and ADD. Input 0: the parent; further inputs: the contexts, stages, images, URLs, repositories copied from. */
export interface CopyOp {
  readonly kind: 'copy';
  readonly sources: readonly CopyOpSource[];
  /** Absolute and clean but for a trailing `/`, which is kept: it says "directory". */
  readonly destination: string;
  /** `user[:group]`, names or numbers; absent: 0:0 from a context, kept from a stage or image. */
  readonly chown?: string;
  /** Octal or symbolic. */
  readonly chmod?: string;
  /** The layer is made as if over nothing: it does not depend on the parent. */
  readonly link: boolean;
  /** Sources keep their directories below the destination, from `/./` on where it is written. */
  readonly parents: boolean;
  /** Ignore patterns, relative to each source. */
  readonly exclude: readonly string[];
  readonly pending: readonly PendingDirectory[];
}

/** Only the pending directories: a stage that ends in WORKDIR. No layer when all of them exist. Input 0: the parent. */
export interface MakeDirectoriesOp {
  readonly kind: 'mkdir';
  readonly pending: readonly PendingDirectory[];
}

export type Op = ImageOp | ScratchOp | ContextOp | HttpOp | GitOp | RunOp | CopyOp | MakeDirectoriesOp;

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
  /** `--no-cache-filter` names its stage: no record of it is used. */
  readonly isFresh?: boolean | undefined;
}
