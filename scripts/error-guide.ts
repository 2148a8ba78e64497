import type { ErrorCode } from '../src/errors.ts';

interface Guide {
  readonly meaning: string;
  readonly next: string;
}

/** For people: what each code means and the next step. */
export const ERROR_GUIDE: Readonly<Record<ErrorCode, Guide>> = {
  E_INTERNAL: { meaning: 'A defect of tsbuild', next: 'Report it with the output of `--debug`' },
  E_INSTALLATION: {
    meaning: 'A part of tsbuild itself is missing',
    next: 'Install it again, with optional packages (`npm ci` without `--omit=optional`)',
  },
  E_USAGE: {
    meaning: 'The command line is wrong or asks for what is not built yet',
    next: 'See `tsbuild help COMMAND`',
  },
  E_BAD_REFERENCE: {
    meaning: 'An image name cannot be read',
    next: 'Write `[HOST/]PATH[:TAG][@DIGEST]`, path in lower case',
  },
  E_BAD_PLATFORM: { meaning: 'A platform cannot be read', next: 'Write `OS/ARCH[/VARIANT]`, e.g. `linux/arm64`' },
  E_PARSE: { meaning: 'The Containerfile cannot be read', next: 'Correct the marked place' },
  E_UNKNOWN_INSTRUCTION: {
    meaning: 'No such instruction',
    next: 'Take the suggestion, or check the line before for a missing `\\`',
  },
  E_UNKNOWN_FLAG: { meaning: 'The instruction has no such flag', next: 'Correct or remove the flag' },
  E_UNKNOWN_STAGE: { meaning: 'No stage of that name or number', next: 'Name a stage that stands above' },
  E_EXPANSION: {
    meaning: 'A variable cannot be expanded',
    next: 'Correct the expression after the `$`, or give the variable a value',
  },
  E_UNSUPPORTED: { meaning: 'Valid, but not built yet', next: 'See the list in README.md' },
  E_LINT: {
    meaning: '`--check` found warnings, or the Containerfile says `# check=error=true` and there are some',
    next: 'Correct each, or skip its rule with `# check=skip=RULE`',
  },
  E_NO_CONTAINERFILE: { meaning: 'No Containerfile or Dockerfile', next: 'Give its path with `-f`' },
  E_CONTEXT: { meaning: 'The context cannot be read', next: 'Give an existing, readable directory' },
  E_NOT_IN_CONTEXT: {
    meaning: 'A source of COPY or ADD is not there',
    next: 'Check the path; it is relative to the context',
  },
  E_IGNORED_SOURCE: {
    meaning: 'A source is excluded by the ignore file',
    next: 'Change the named line of .containerignore or .dockerignore',
  },
  E_PATH_ESCAPE: { meaning: 'A path leads out of its root', next: 'Use a path inside' },
  E_BAD_ARCHIVE: { meaning: 'An archive cannot be read', next: 'Check the file; it may be cut off' },
  E_COPY_CONFLICT: {
    meaning: 'COPY would replace a directory by a file or the reverse',
    next: 'Change the destination',
  },
  E_RUN_FAILED: {
    meaning: 'A RUN command ended with a status that is not 0',
    next: 'Read the output above; repeat with `--no-cache` if it may be stale',
  },
  E_RUN_SIGNALED: {
    meaning: 'A RUN command was ended by a signal',
    next: 'SIGKILL is often lack of memory: try `--jobs 1`',
  },
  E_RUN_NOT_STARTED: {
    meaning: 'A RUN command could not be started',
    next: 'Check that the shell or program exists in the image',
  },
  E_RUN_TIMEOUT: {
    meaning: 'A RUN command took longer than `--timeout` allows',
    next: 'Look for what it waits for, or allow more time',
  },
  E_UNKNOWN_USER: {
    meaning: 'USER or --chown names nobody in the image',
    next: 'Create the user first, or use numbers',
  },
  E_NO_SECRET: {
    meaning: 'A secret or an ssh agent that a RUN needs is not there',
    next: 'Give it with `--secret` or `--ssh`',
  },
  E_NO_USERNS: { meaning: 'The machine allows no user namespaces', next: 'Follow the hint; `tsbuild info` explains' },
  E_NO_SUBUID: {
    meaning: 'The user has no range of sub-ids',
    next: 'As root: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER`',
  },
  E_NO_OVERLAY: {
    meaning: 'The kernel allows no overlay mounts here',
    next: 'Move the store with `--root` to another filesystem',
  },
  E_MOUNT_DENIED: { meaning: 'A mount was denied', next: 'See `tsbuild info`; containers need their mounts allowed' },
  E_SANDBOX: { meaning: 'The sandbox for RUN could not be made', next: 'Repeat with `--debug`; see `tsbuild info`' },
  E_ID_NOT_MAPPED: {
    meaning: 'A file has an owner outside of the mapped ids',
    next: 'Give the user a larger range of sub-ids',
  },
  E_OWNER_NOT_RECORDED: {
    meaning: 'A user with one id cannot record the owner of a file: the filesystem has no attributes',
    next: 'Move the store with `--root`, or install uidmap and give the user sub-ids',
  },
  E_NO_NETWORK: {
    meaning: 'A private network cannot be made: no pasta or slirp4netns, or no access to /dev/net/tun',
    next: 'Use `--network=host`, or take the hint; `tsbuild info` tries what is there',
  },
  E_PORT: {
    meaning: 'A port of this machine cannot be published',
    next: 'End what uses it, or take another one with `-p`',
  },
  E_UNAUTHORIZED: { meaning: 'The registry wants credentials, or refuses these', next: '`tsbuild login REGISTRY`' },
  E_DENIED: { meaning: 'The user may not do this in the registry', next: 'Ask for the right, or check the name' },
  E_NOT_FOUND: {
    meaning: 'The registry has no such image, the server no such file, the repository no such ref',
    next: 'Check name and tag',
  },
  E_RATE_LIMITED: { meaning: 'The registry limits requests', next: 'Wait, or log in' },
  E_UNAVAILABLE: { meaning: 'The registry or server cannot be reached', next: 'Check name, network and proxy' },
  E_TLS: {
    meaning: 'The certificate is not trusted',
    next: 'Install its authority, or use `--tls-verify=false` for a test registry',
  },
  E_REGISTRY: { meaning: 'The registry answered against the protocol', next: 'Repeat with `--debug`' },
  E_REMOTE: {
    meaning: 'A URL or git repository cannot be fetched',
    next: 'Do what the hint says; try the URL by hand',
  },
  E_NO_PLATFORM: {
    meaning: 'The image has no variant for the platform',
    next: 'Choose one of those listed with `--platform`',
  },
  E_DIGEST_MISMATCH: { meaning: 'Bytes do not match their digest', next: 'Repeat; if it stays, the source is damaged' },
  E_SIZE_MISMATCH: {
    meaning: 'Bytes are fewer or more than declared',
    next: 'Repeat; if it stays, the source is damaged',
  },
  E_BAD_LAYER: { meaning: 'A layer is damaged or hostile', next: 'Do not use the image' },
  E_BAD_MANIFEST: {
    meaning: 'A manifest or config is damaged or of an unknown kind',
    next: 'Check the image with its maker',
  },
  E_NO_SPACE: { meaning: 'The disk is full', next: '`tsbuild prune`, or move the store with `--root`' },
  E_LOCKED: { meaning: 'Another tsbuild holds the store', next: 'Wait for it' },
  E_CORRUPT_STORE: { meaning: 'The store is damaged', next: '`tsbuild prune`; if it stays, remove the directory' },
  E_STORE: { meaning: 'The store cannot be read or written', next: 'Check the rights of the directory' },
  E_NO_IMAGE: { meaning: 'The store has no such image', next: '`tsbuild images` lists what there is' },
  E_NO_CONTAINER: { meaning: 'There is no such container', next: '`tsbuild ps -a` lists them' },
  E_CONTAINER: {
    meaning: "A container's name is taken, or its state does not allow what was asked for",
    next: 'Stop or remove the container, or choose another name',
  },
  E_CANCELLED: { meaning: 'Ctrl-C, SIGTERM or a No', next: 'Nothing; the store is intact' },
};
