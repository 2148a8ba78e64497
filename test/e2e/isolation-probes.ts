import { callProgram, PREVIOUS, type SystemCall } from '../support/call-program.ts';

/** The rung of the sandbox's ladder: see src/executor/sandbox/rung.ts. */
export type Rung = 'a' | 'b' | 'c' | 'd' | 'e';

/** What a step tries, and what it must get: the output of a script with its errors, or a system call's errno. */
export interface Probe {
  readonly name: string;
  /** Run by sh; `$HOST_FILE`, `$HOST_PID` and `$HOST_DIRECTORY` are of the machine outside. Or calls of one program. */
  readonly tries: string | readonly SystemCall[];
  readonly gets: string | RegExp;
  /** Default: all but d, which has no namespaces. */
  readonly rungs?: string | undefined;
  readonly isolation?: 'builtin' | 'oci' | undefined;
}

/** errno(3) */
const [EPERM, ESRCH, ENXIO, ENOTTY, ENOSYS] = ['1', '3', '6', '25', '38'];
const DENIED = /not permitted|denied/i;
const GONE = /No such file or directory/;
const ALL = 'abcde';
const NAMESPACES = 'abce';
/** There a node that nobody may make is recorded instead. */
const NOT_RECORDED = 'abe';

/** Calls by their numbers on x86_64. */
const call = (number: number, ...args: readonly (number | bigint | string)[]): readonly SystemCall[] => [
  { number, args },
];

const PROCESSES: readonly Probe[] = [
  { name: 'list processes', tries: 'ls -d /proc/[0-9]* | wc -l', gets: /^\d$/, rungs: 'abc' },
  { name: 'signal a process of the host', tries: 'kill -0 $HOST_PID', gets: /No such process/, rungs: 'abc' },
  { name: 'kill process 1', tries: 'kill -9 1; echo alive', gets: /alive$/, rungs: 'abc' },
  {
    name: 'read the variables of others',
    tries: 'cat /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n" | grep -c ^HOST_MARK=',
    gets: '0',
  },
  { name: 'trace a process of the host', tries: 'p trace-host', gets: ESRCH, rungs: 'abc' },
  {
    name: 'trace process 1, which is of the host',
    tries: call(101, 0x4206, 1, 0, 0),
    gets: EPERM,
    rungs: 'abc',
    isolation: 'builtin',
  },
  { name: 'see the root of process 1', tries: 'ls /proc/1/root$HOST_FILE', gets: /No such file|denied/ },
];

const FILES: readonly Probe[] = [
  { name: 'open a file of the host', tries: 'cat $HOST_FILE', gets: GONE, rungs: ALL },
  {
    name: 'climb out of the working directory',
    tries: 'cat ../../../../../../../..$HOST_FILE',
    gets: GONE,
    rungs: ALL,
  },
  {
    name: 'go through its own root and directory',
    tries: 'cat /proc/self/root$HOST_FILE /proc/self/cwd$HOST_FILE',
    gets: GONE,
  },
  { name: 'use descriptors that others left open', tries: 'ls /proc/self/fd | tr "\\n" " "', gets: '0 1 2 3' },
  {
    name: 'see directories of the host in its mounts',
    tries: 'grep -c "$HOST_DIRECTORY" /proc/self/mountinfo',
    gets: '0',
  },
  {
    name: 'break out of a chroot in the chroot',
    tries: 'mkdir -p /tmp/jail && chroot /tmp/jail /bin/true; chroot / ls $HOST_FILE',
    gets: GONE,
    rungs: ALL,
  },
  { name: 'open a file by its handle', tries: call(304, 0, 0, 0), gets: EPERM, rungs: ALL },
];

const MOUNTS: readonly Probe[] = [
  { name: 'mount a tmpfs', tries: 'mkdir -p /m; mount -t tmpfs x /m', gets: DENIED, rungs: ALL },
  { name: 'mount a proc', tries: 'mkdir -p /m; mount -t proc x /m', gets: DENIED, rungs: ALL },
  { name: 'bind a directory', tries: 'mkdir -p /m; mount -o bind / /m', gets: DENIED, rungs: ALL },
  {
    name: 'uncover what is masked',
    tries: 'umount /proc/kcore',
    gets: /not permitted|denied|can't unmount/i,
    rungs: ALL,
  },
  { name: 'make /sys writable', tries: 'mount -o remount,rw /sys', gets: /not permitted|denied|can't/i },
  { name: 'pivot the root', tries: call(155, '/', '/'), gets: EPERM, rungs: ALL },
  { name: 'use the new mount calls', tries: call(430, 'tmpfs', 0), gets: EPERM, rungs: ALL },
  { name: 'copy a tree of mounts', tries: call(428, 0, '/', 1), gets: EPERM, rungs: ALL },
  { name: 'enter a namespace', tries: call(308, 0, 0), gets: EPERM, rungs: ALL },
  { name: 'nest a user namespace', tries: 'unshare -U true', gets: DENIED, rungs: ALL },
  { name: 'make a mount namespace', tries: 'unshare -m true', gets: DENIED, rungs: ALL },
  { name: 'nest a user namespace by clone', tries: call(56, 0x10000011, 0, 0, 0, 0), gets: EPERM, rungs: ALL },
  { name: 'nest one by clone3', tries: call(435, 0, 0), gets: ENOSYS, rungs: ALL },
];

const DEVICES: readonly Probe[] = [
  { name: 'make a disk', tries: 'mknod /tmp/disk b 8 0', gets: DENIED, rungs: NOT_RECORDED },
  { name: 'make the memory', tries: 'mknod /tmp/mem c 1 1', gets: DENIED, rungs: NOT_RECORDED },
  {
    name: 'find devices',
    tries: 'ls /dev | tr "\\n" " "',
    gets: /^(core )?fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero$/,
    rungs: NAMESPACES,
  },
  { name: 'fill /dev/full', tries: 'echo x > /dev/full', gets: /No space left on device/, rungs: ALL },
  {
    name: 'read zeroes and write nothing',
    tries: 'head -c 3 /dev/zero | wc -c; echo x > /dev/null && echo ok',
    gets: '3\nok',
    rungs: ALL,
  },
  { name: 'open the terminal', tries: 'cat < /dev/tty', gets: /No such device or address/, rungs: ALL },
  { name: 'type into a terminal (TIOCSTI)', tries: call(16, 0, 0x5412, 'x'), gets: ENOTTY, rungs: ALL },
  {
    name: 'type into the terminal of its session (TIOCSTI)',
    tries: [
      { number: 2, args: ['/dev/tty', 2] },
      { number: 16, args: [PREVIOUS, 0x5412, 'x'] },
    ],
    gets: /^(9|6)$/,
    rungs: ALL,
  },
  { name: 'open the terminal by a call', tries: call(2, '/dev/tty', 2), gets: ENXIO, rungs: ALL },
];

const KERNEL: readonly Probe[] = [
  { name: 'load a module', tries: call(175, 0, 0, ''), gets: EPERM, rungs: ALL },
  { name: 'load a module from a file', tries: call(313, 0, '', 0), gets: EPERM, rungs: ALL },
  { name: 'remove a module', tries: call(176, 'dummy', 0), gets: EPERM, rungs: ALL },
  { name: 'set the clock', tries: 'date -s @1 >/dev/null', gets: DENIED, rungs: ALL },
  { name: 'set the clock by a call', tries: call(227, 0, 0), gets: EPERM, rungs: ALL },
  { name: 'reboot', tries: call(169, 0xfee1deadn, 672274793, 0, 0), gets: EPERM, rungs: ALL },
  { name: 'start another kernel', tries: call(246, 0, 0, 0, 0), gets: EPERM, rungs: ALL },
  { name: 'stop swapping', tries: call(168, '/none'), gets: EPERM, rungs: ALL },
  { name: 'account processes', tries: call(163, '/none'), gets: EPERM, rungs: ALL },
  { name: 'set quotas', tries: call(179, 0, 0, 0, 0), gets: EPERM, rungs: ALL },
  { name: 'load a program into the kernel (bpf)', tries: call(321, 0, 0, 0), gets: EPERM, rungs: ALL },
  { name: 'count events of the kernel', tries: call(298, 0, 0, 0, 0, 0), gets: EPERM, rungs: ALL },
  { name: 'handle page faults itself', tries: call(323, 0), gets: EPERM, rungs: ALL },
  { name: 'use io_uring', tries: call(425, 0, 0), gets: EPERM, rungs: ALL },
  { name: 'reach input and output ports', tries: call(172, 3), gets: EPERM, rungs: ALL },
  { name: 'read the log of the kernel', tries: 'dmesg', gets: DENIED, rungs: ALL },
  { name: 'find the log of the kernel among the devices', tries: 'ls /dev/kmsg', gets: GONE, rungs: NAMESPACES },
  { name: 'turn off address randomisation', tries: call(135, 0x0040000), gets: EPERM, rungs: ALL },
  { name: 'rename the host', tries: 'hostname other', gets: DENIED, rungs: ALL },
  { name: 'call as x32', tries: call(0x40000000 | 39), gets: /^(38|159)$/, rungs: ALL },
  { name: 'open a socket to the hypervisor', tries: call(41, 40, 1, 0), gets: EPERM, rungs: NAMESPACES },
  { name: 'open a socket to the ciphers of the kernel', tries: call(41, 38, 5, 0), gets: EPERM, rungs: NAMESPACES },
];

const KEYS: readonly Probe[] = [
  { name: 'add a key', tries: call(248, 'user', 'name', 'x', 1, -3n), gets: EPERM, rungs: ALL },
  { name: 'look for a key', tries: call(249, 'user', 'name', 0, 0), gets: EPERM, rungs: ALL },
  { name: 'read the keyring of the session', tries: call(250, 11, -3n, 0, 0), gets: EPERM, rungs: ALL },
];

const STATE: readonly Probe[] = [
  { name: 'have a filter', tries: 'grep ^Seccomp: /proc/self/status', gets: /^Seccomp:\s2$/ },
  {
    name: 'have the capabilities of Docker',
    tries: 'grep -E "^Cap(Inh|Prm|Eff|Bnd|Amb)" /proc/self/status | cut -f2 | tr "\\n" " "',
    gets: '0000000000000000 00000000a80425fb 00000000a80425fb 00000000a80425fb 0000000000000000',
  },
  { name: 'gain rights by a setuid program', tries: 'grep NoNewPrivs /proc/self/status', gets: /^NoNewPrivs:\s0$/ },
  { name: 'dump a core', tries: 'ulimit -c', gets: '0', rungs: ALL },
  { name: 'choose what gets cores', tries: 'echo x > /proc/sys/kernel/core_pattern', gets: /Read-only|denied/ },
  { name: 'use the magic key', tries: 'echo h > /proc/sysrq-trigger', gets: /Read-only|denied|nonexistent/ },
  { name: 'change the kernel by /sys', tries: 'echo x > /sys/kernel/mm/ksm/run', gets: /Read-only|denied|nonexistent/ },
  { name: 'read the memory of the kernel', tries: 'head -c 4096 /proc/kcore 2>/dev/null | wc -c', gets: '0' },
  { name: 'read the keys of the machine', tries: 'cat /proc/keys | wc -c', gets: '0' },
  { name: 'read timers and interrupts', tries: 'cat /proc/timer_list /proc/interrupts | wc -c', gets: '0' },
  { name: 'see the firmware', tries: 'ls /sys/firmware | wc -l', gets: '0' },
  {
    name: 'see its place in the cgroups of the host',
    tries: 'cut -d: -f3 /proc/self/cgroup | sort -u',
    gets: '/',
    rungs: 'abc',
  },
  { name: 'read an input', tries: 'wc -c', gets: '0', rungs: ALL },
  { name: 'know its host', tries: 'hostname', gets: 'tsbuild', rungs: NAMESPACES },
  { name: 'make files for itself alone', tries: 'umask', gets: '0022', rungs: ALL },
];

export const PROBES: readonly Probe[] = [...PROCESSES, ...FILES, ...MOUNTS, ...DEVICES, ...KERNEL, ...KEYS, ...STATE];

export interface ProbePlace {
  readonly rung: Rung;
  readonly isolation: 'builtin' | 'oci' | 'chroot';
}

/** The probes that mean something there. */
export const probesFor = ({ rung, isolation }: ProbePlace): readonly Probe[] =>
  PROBES.filter((probe) => (probe.rungs ?? NAMESPACES).includes(rung) && (probe.isolation ?? isolation) === isolation);

export interface ProbeHost {
  /** Paths that exist outside, and in no image. */
  readonly file: string;
  readonly directory: string;
  readonly pid: number;
}

/** Files of a context that has `probes.sh`, which tries everything, and the programs that it needs. */
export function probeFiles(probes: readonly Probe[], host: ProbeHost): Readonly<Record<string, string | Buffer>> {
  const programs: Record<string, Buffer> = {
    'trace-host': callProgram(call(101, 0x4206, host.pid, 0, 0)),
  };
  const lines = probes.map(({ tries }, index) => {
    if (typeof tries === 'string') return `printf "\\n@@ ${index}\\n"; ( ${tries} ) 2>&1`;
    programs[`p${index}`] = callProgram(tries);
    return `printf "\\n@@ ${index}\\n"; ( p p${index} ) 2>/dev/null`;
  });
  const head = [
    `HOST_FILE=${host.file} HOST_DIRECTORY=${host.directory} HOST_PID=${host.pid}`,
    'p() { /probes/"$1"; echo $?; }',
    'cd /probes',
  ];
  return { 'probes.sh': `${[...head, ...lines, 'printf "\\n@@ end\\n"'].join('\n')}\n`, ...programs };
}

/** What each probe got, from what the step has printed. */
export function answersOf(printed: string): ReadonlyMap<number, string> {
  const parts = printed.split(/^@@ /m).slice(1);
  return new Map(
    parts.map((part) => {
      const [index = '', ...rest] = part.split('\n');
      return [Number(index), rest.join('\n').trim()];
    }),
  );
}
