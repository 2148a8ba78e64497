import type { ArgumentTest, RuleConditions, SeccompProfile, SeccompRule } from './profile.ts';

/** Whatever a program may do to its own files, memory, processes and sockets. */
const HARMLESS = `
  open openat openat2 creat close close_range read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2
  lseek _llseek dup dup2 dup3 fcntl fcntl64 ioctl flock fsync fdatasync sync syncfs sync_file_range fallocate fadvise64
  fadvise64_64 readahead copy_file_range sendfile sendfile64 splice tee vmsplice pipe pipe2 cachestat
  arm_fadvise64_64 arm_sync_file_range sync_file_range2

  stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx statfs statfs64 fstatfs fstatfs64 statmount
  listmount access faccessat faccessat2 readlink readlinkat getcwd chdir fchdir getdents getdents64 umask
  chmod fchmod fchmodat fchmodat2 chown chown32 fchown fchown32 fchownat lchown lchown32 truncate truncate64 ftruncate
  ftruncate64 utime utimes utimensat utimensat_time64 futimesat link linkat symlink symlinkat mkdir mkdirat mknod
  mknodat rename renameat renameat2 rmdir unlink unlinkat name_to_handle_at
  getxattr getxattrat lgetxattr fgetxattr setxattr setxattrat lsetxattr fsetxattr listxattr listxattrat llistxattr
  flistxattr removexattr removexattrat lremovexattr fremovexattr
  inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark

  brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall munlock munlockall mseal
  remap_file_pages pkey_alloc pkey_free pkey_mprotect memfd_create memfd_secret membarrier map_shadow_stack
  shmat shmctl shmdt shmget semctl semget semop semtimedop semtimedop_time64 msgctl msgget msgrcv msgsnd ipc
  mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
  process_mrelease

  fork vfork execve execveat exit exit_group wait4 waitid waitpid kill tkill tgkill pidfd_open pidfd_send_signal
  getpid getppid gettid getpgid getpgrp setpgid getsid setsid set_tid_address set_robust_list get_robust_list rseq
  set_thread_area get_thread_area set_tls futex futex_time64 futex_wait futex_waitv futex_wake futex_requeue prctl
  restart_syscall rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn signalfd signalfd4 pause
  breakpoint cacheflush uretprobe seccomp landlock_add_rule landlock_create_ruleset landlock_restrict_self
  sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler
  sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
  sched_yield getpriority setpriority ioprio_get ioprio_set getcpu getrlimit ugetrlimit setrlimit prlimit64 getrusage
  ptrace process_vm_readv process_vm_writev

  getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32
  getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32
  setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32 capget capset

  select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64 epoll_create epoll_create1 epoll_ctl epoll_ctl_old
  epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2
  io_setup io_submit io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64
  socketpair socketcall bind connect listen accept accept4 shutdown getsockname getpeername getsockopt setsockopt send
  sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64

  time times gettimeofday clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
  clock_nanosleep_time64 nanosleep alarm getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime
  timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime
  timerfd_settime64 adjtimex clock_adjtime clock_adjtime64 getrandom sysinfo uname arch_prctl modify_ldt
`;

/** Each of these lets its calls through, because the kernel allows them to its holders only. */
const BY_CAPABILITY: readonly (readonly [capability: string, calls: string])[] = [
  [
    'SYS_ADMIN',
    `mount umount umount2 mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick unshare setns clone clone3
    sethostname setdomainname bpf perf_event_open fanotify_init lookup_dcookie quotactl quotactl_fd syslog
    lsm_get_self_attr lsm_list_modules lsm_set_self_attr`,
  ],
  ['DAC_READ_SEARCH', 'open_by_handle_at'],
  ['SYS_BOOT', 'reboot'],
  ['SYS_CHROOT', 'chroot'],
  ['SYS_MODULE', 'delete_module init_module finit_module'],
  ['SYS_PACCT', 'acct'],
  ['SYS_PTRACE', 'kcmp pidfd_getfd process_madvise'],
  ['SYS_RAWIO', 'iopl ioperm'],
  ['SYS_TIME', 'settimeofday stime clock_settime clock_settime64'],
  ['SYS_TTY_CONFIG', 'vhangup'],
  ['SYS_NICE', 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node'],
  ['SYSLOG', 'syslog'],
  ['BPF', 'bpf'],
  ['PERFMON', 'perf_event_open'],
];

/** Refused are AF_ALG (38) and AF_VSOCK (40), which reach out of the container, and what no kernel has (linux/socket.h). */
const FAMILIES: readonly ArgumentTest[] = [
  { index: 0, comparison: 'lt', value: 38n },
  ...[39n, 41n, 42n, 43n, 44n, 45n].map((value) => ({ index: 0, comparison: 'eq', value }) as const),
];
/** CLONE_NEW* of linux/sched.h but CLONE_NEWTIME, which clone(2) does not take. */
const CLONE_NAMESPACES = 0x7e020000n;
/** PER_LINUX, PER_LINUX32, UNAME26, both, and the question for the present one (linux/personality.h). */
const PERSONALITIES = [0n, 0x8n, 0x20000n, 0x20008n, 0xffffffffn];

const EPERM = 1;
const ENOSYS = 38;
const allow = { kind: 'allow' } as const;
const refuse = (errno: number) => ({ kind: 'errno', errno }) as const;
const words = (text: string): readonly string[] => text.trim().split(/\s+/);
const withoutAdmin: RuleConditions = { capabilities: ['SYS_ADMIN'] };

const CONDITIONAL: readonly SeccompRule[] = [
  ...FAMILIES.map((test) => ({ names: ['socket'], action: allow, tests: [test] })),
  ...PERSONALITIES.map((value) => ({
    names: ['personality'],
    action: allow,
    tests: [{ index: 0, comparison: 'eq', value } as const],
  })),
  {
    names: ['clone'],
    action: allow,
    tests: [{ index: 0, comparison: 'masked-eq', mask: CLONE_NAMESPACES, value: 0n }],
    excludes: withoutAdmin,
  },
  // Its flags lie in memory, where a filter cannot look: C libraries fall back to clone.
  { names: ['clone3'], action: refuse(ENOSYS), excludes: withoutAdmin },
];

/**
 * What a container may call by default: what Docker 28 allows, by what it is for. Beside that it refuses AF_ALG, as later
 * releases of Docker do. Refused calls fail with EPERM.
 */
export const DEFAULT_PROFILE: SeccompProfile = {
  defaultAction: refuse(EPERM),
  subArchitectures: { x86_64: ['x86'], aarch64: ['arm'] },
  rules: [
    { names: words(HARMLESS), action: allow },
    ...BY_CAPABILITY.map(([capability, calls]) => ({
      names: words(calls),
      action: allow,
      includes: { capabilities: [capability] },
    })),
    ...CONDITIONAL,
  ],
};
