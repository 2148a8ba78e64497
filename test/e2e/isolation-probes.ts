import { callProgram, PREVIOUS, type SystemCall } from '../support/call-program.ts';

/** The rung of the sandbox's ladder: see src/executor/sandbox/rung.ts. */
export type Rung = 'a' | 'b' | 'c' | 'd' | 'e';

/** What a step tries, and what it must get: the output of a script with its errors, or a system call's errno. */
export interface Probe {
  readonly name: string;
  /** Run by sh; `$HOST_FILE`, `$HOST_PID` and `$HOST_DIRECTORY` are of the machine outside. Or calls of one program. */
  readonly tries: string | readonly SystemCall[];
  readonly gets: string | RegExp;
  /** Rungs that it does not apply to. */
  readonly except?: Exception | undefined;
  /** The one rung that it is for, where others are held to something else. */
  readonly only?: Rung | undefined;
  readonly isolation?: 'builtin' | 'oci' | undefined;
}

interface Exception {
  readonly rungs: readonly Rung[];
  readonly because: string;
}

/** errno(3) */
const [EPERM, ESRCH, ENXIO, ENOTTY, ENOSYS] = ['1', '3', '6', '25', '38'];
const DENIED = /not permitted|denied/i;
const GONE = /No such file or directory/;

const NOT_SHARED: Exception = {
  rungs: ['d'],
  because: 'a step is among the processes of its container, as its root, and has its host name',
};
const WITH_PROC: Exception = { rungs: ['d'], because: 'a step has an empty /proc and /sys, which are its own' };
const OWN_PROC: Exception = {
  rungs: ['d', 'e'],
  because: 'a step has no /proc (d), or that of its container (e): it sees what runs there',
};
const OWN_DEVICES: Exception = { rungs: ['d'], because: 'a step has fewer devices: see the probe for that rung' };
const OWN_FILTER: Exception = {
  rungs: ['d'],
  because: 'the filter is that of the container, and only those from 2026 on refuse it',
};

/** Calls by their numbers on x86_64. */
const call = (number: number, ...args: readonly (number | bigint | string)[]): readonly SystemCall[] => [
  { number, args },
];

const PROCESSES: readonly Probe[] = [
  { name: 'list processes', tries: 'ls -d /proc/[0-9]* | wc -l', gets: /^\d$/, except: OWN_PROC },
  { name: 'signal a process of the host', tries: 'kill -0 $HOST_PID', gets: /No such process/, except: NOT_SHARED },
  { name: 'kill process 1', tries: 'kill -9 1; echo alive', gets: /alive$/, except: NOT_SHARED },
  {
    name: 'read the variables of others',
    tries: 'cat /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n" | grep -c ^HOST_MARK=',
    gets: '0',
  },
  { name: 'trace a process of the host', tries: 'p trace-host', gets: ESRCH, except: NOT_SHARED },
  {
    name: 'trace process 1, which is of the host',
    tries: call(101, 0x4206, 1, 0, 0),
    gets: EPERM,
    isolation: 'builtin',
    except: NOT_SHARED,
  },
  { name: 'trace a process of its container', tries: 'p trace-host', gets: EPERM, only: 'd' },
  { name: 'see the root of process 1', tries: 'ls /proc/1/root$HOST_FILE', gets: /No such file|denied/ },
];

const FILES: readonly Probe[] = [
  {
    name: 'read from descriptors that it was not given',
    tries: 'for n in 3 4 5 6 7 8 9; do (: <&$n) 2>/dev/null && echo $n; done; echo none',
    gets: 'none',
  },
  { name: 'open a file of the host', tries: 'cat $HOST_FILE', gets: GONE },
  {
    name: 'climb out of the working directory',
    tries: 'cat ../../../../../../../..$HOST_FILE',
    gets: GONE,
  },
  {
    name: 'go through its own root and directory',
    tries: 'cat /proc/self/root$HOST_FILE /proc/self/cwd$HOST_FILE',
    gets: GONE,
    except: WITH_PROC,
  },
  {
    name: 'use descriptors that others left open',
    tries: 'ls /proc/self/fd | tr "\\n" " "',
    gets: '0 1 2 3',
    except: WITH_PROC,
  },
  {
    name: 'see directories of the host in its mounts',
    tries: 'grep -c "$HOST_DIRECTORY" /proc/self/mountinfo',
    gets: '0',
    except: WITH_PROC,
  },
  {
    name: 'break out of a chroot in the chroot',
    tries: 'mkdir -p /tmp/jail && chroot /tmp/jail /bin/true; chroot / ls $HOST_FILE',
    gets: GONE,
  },
  { name: 'open a file by its handle', tries: call(304, 0, 0, 0), gets: EPERM },
];

const MOUNTS: readonly Probe[] = [
  { name: 'mount a tmpfs', tries: 'mkdir -p /m; mount -t tmpfs x /m', gets: DENIED },
  { name: 'mount a proc', tries: 'mkdir -p /m; mount -t proc x /m', gets: DENIED },
  { name: 'bind a directory', tries: 'mkdir -p /m; mount -o bind / /m', gets: DENIED },
  {
    name: 'uncover what is masked',
    tries: 'umount /proc/kcore',
    gets: /not permitted|denied|can't unmount/i,
    except: WITH_PROC,
  },
  {
    name: 'make /sys writable',
    tries: 'mount -o remount,rw /sys',
    gets: /not permitted|denied|can't/i,
    except: WITH_PROC,
  },
  { name: 'pivot the root', tries: call(155, '/', '/'), gets: EPERM },
  { name: 'use the new mount calls', tries: call(430, 'tmpfs', 0), gets: EPERM },
  { name: 'copy a tree of mounts', tries: call(428, 0, '/', 1), gets: EPERM },
  { name: 'enter a namespace', tries: call(308, 0, 0), gets: EPERM },
  { name: 'nest a user namespace', tries: 'unshare -U true', gets: DENIED },
  { name: 'make a mount namespace', tries: 'unshare -m true', gets: DENIED },
  { name: 'nest a user namespace by clone', tries: call(56, 0x10000011, 0, 0, 0, 0), gets: EPERM },
  { name: 'nest one by clone3', tries: call(435, 0, 0), gets: ENOSYS },
];

const DEVICES: readonly Probe[] = [
  { name: 'make a disk', tries: 'mknod /tmp/disk b 8 0', gets: DENIED },
  { name: 'make the memory', tries: 'mknod /tmp/mem c 1 1', gets: DENIED },
  {
    name: 'find devices',
    tries: 'ls /dev | tr "\\n" " "',
    gets: /^(core )?fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero$/,
    except: OWN_DEVICES,
  },
  {
    name: 'find devices without namespaces',
    tries: 'ls /dev | tr "\\n" " "',
    gets: /^full null random shm stderr stdin stdout tty urandom zero$/,
    only: 'd',
  },
  { name: 'fill /dev/full', tries: 'echo x > /dev/full', gets: /No space left on device/ },
  {
    name: 'read zeroes and write nothing',
    tries: 'head -c 3 /dev/zero | wc -c; echo x > /dev/null && echo ok',
    gets: '3\nok',
  },
  { name: 'open the terminal', tries: 'cat < /dev/tty', gets: /No such device or address/ },
  { name: 'type into a terminal (TIOCSTI)', tries: call(16, 0, 0x5412, 'x'), gets: ENOTTY },
  {
    name: 'type into the terminal of its session (TIOCSTI)',
    tries: [
      { number: 2, args: ['/dev/tty', 2] },
      { number: 16, args: [PREVIOUS, 0x5412, 'x'] },
    ],
    gets: /^(9|6)$/,
  },
  { name: 'open the terminal by a call', tries: call(2, '/dev/tty', 2), gets: ENXIO },
];

const KERNEL: readonly Probe[] = [
  { name: 'load a module', tries: call(175, 0, 0, ''), gets: EPERM },
  { name: 'load a module from a file', tries: call(313, 0, '', 0), gets: EPERM },
  { name: 'remove a module', tries: call(176, 'dummy', 0), gets: EPERM },
  { name: 'set the clock', tries: 'date -s @1 >/dev/null', gets: DENIED },
  { name: 'set the clock by a call', tries: call(227, 0, 0), gets: EPERM },
  { name: 'reboot', tries: call(169, 0xfee1deadn, 672274793, 0, 0), gets: EPERM },
  { name: 'start another kernel', tries: call(246, 0, 0, 0, 0), gets: EPERM },
  { name: 'stop swapping', tries: call(168, '/none'), gets: EPERM },
  { name: 'account processes', tries: call(163, '/none'), gets: EPERM },
  { name: 'set quotas', tries: call(179, 0, 0, 0, 0), gets: EPERM },
  { name: 'load a program into the kernel (bpf)', tries: call(321, 0, 0, 0), gets: EPERM },
  { name: 'count events of the kernel', tries: call(298, 0, 0, 0, 0, 0), gets: EPERM },
  { name: 'handle page faults itself', tries: call(323, 0), gets: EPERM },
  { name: 'use io_uring', tries: call(425, 0, 0), gets: EPERM },
  { name: 'reach input and output ports', tries: call(172, 3), gets: EPERM },
  { name: 'read the log of the kernel', tries: 'dmesg', gets: DENIED },
  { name: 'find the log of the kernel among the devices', tries: 'ls /dev/kmsg', gets: GONE },
  { name: 'turn off address randomisation', tries: call(135, 0x0040000), gets: EPERM },
  { name: 'rename the host', tries: 'hostname other', gets: DENIED },
  { name: 'call as x32', tries: call(0x40000000 | 39), gets: /^(38|159)$/ },
  { name: 'open a socket to the hypervisor', tries: call(41, 40, 1, 0), gets: EPERM },
  { name: 'open a socket to the ciphers of the kernel', tries: call(41, 38, 5, 0), gets: EPERM, except: OWN_FILTER },
];

const KEYS: readonly Probe[] = [
  { name: 'add a key', tries: call(248, 'user', 'name', 'x', 1, -3n), gets: EPERM },
  { name: 'look for a key', tries: call(249, 'user', 'name', 0, 0), gets: EPERM },
  { name: 'read the keyring of the session', tries: call(250, 11, -3n, 0, 0), gets: EPERM },
];

const STATE: readonly Probe[] = [
  { name: 'find anything of the kernel', tries: 'ls -A /proc; ls -A /sys', gets: '', only: 'd' },
  { name: 'have a filter', tries: 'grep ^Seccomp: /proc/self/status', gets: /^Seccomp:\s2$/, except: WITH_PROC },
  {
    name: 'have the capabilities of Docker',
    tries: 'grep -E "^Cap(Inh|Prm|Eff|Bnd|Amb)" /proc/self/status | cut -f2 | tr "\\n" " "',
    gets: '0000000000000000 00000000a80425fb 00000000a80425fb 00000000a80425fb 0000000000000000',
    except: WITH_PROC,
  },
  {
    name: 'gain rights by a setuid program',
    tries: 'grep NoNewPrivs /proc/self/status',
    gets: /^NoNewPrivs:\s0$/,
    except: WITH_PROC,
  },
  { name: 'dump a core', tries: 'ulimit -c', gets: '0' },
  {
    name: 'choose what gets cores',
    tries: 'echo x > /proc/sys/kernel/core_pattern',
    gets: /Read-only|denied/,
    except: WITH_PROC,
  },
  {
    name: 'use the magic key',
    tries: 'echo h > /proc/sysrq-trigger',
    gets: /Read-only|denied|nonexistent/,
    except: WITH_PROC,
  },
  {
    name: 'change the kernel by /sys',
    tries: 'echo x > /sys/kernel/mm/ksm/run',
    gets: /Read-only|denied|nonexistent/,
    except: WITH_PROC,
  },
  {
    name: 'read the memory of the kernel',
    tries: 'head -c 4096 /proc/kcore 2>/dev/null | wc -c',
    gets: '0',
    except: WITH_PROC,
  },
  { name: 'read the keys of the machine', tries: 'cat /proc/keys | wc -c', gets: '0', except: WITH_PROC },
  {
    name: 'read timers and interrupts',
    tries: 'cat /proc/timer_list /proc/interrupts | wc -c',
    gets: '0',
    except: WITH_PROC,
  },
  { name: 'see the firmware', tries: 'ls /sys/firmware | wc -l', gets: '0', except: WITH_PROC },
  {
    name: 'see its place in the cgroups of the host',
    tries: 'cut -d: -f3 /proc/self/cgroup | sort -u',
    gets: '/',
    except: WITH_PROC,
  },
  { name: 'read an input', tries: 'wc -c', gets: '0' },
  { name: 'know its host', tries: 'hostname', gets: 'tsbuild', except: NOT_SHARED },
  { name: 'make files for itself alone', tries: 'umask', gets: '0022' },
];

export const PROBES: readonly Probe[] = [...PROCESSES, ...FILES, ...MOUNTS, ...DEVICES, ...KERNEL, ...KEYS, ...STATE];

export interface ProbePlace {
  readonly rung: Rung;
  readonly isolation: 'builtin' | 'oci' | 'chroot';
}

/** The probes that mean something there. */
export const probesFor = ({ rung, isolation }: ProbePlace): readonly Probe[] =>
  PROBES.filter(
    (probe) =>
      (probe.only ?? rung) === rung &&
      !probe.except?.rungs.includes(rung) &&
      (probe.isolation ?? isolation) === isolation,
  );

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
