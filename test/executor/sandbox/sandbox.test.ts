import { execFileSync } from 'node:child_process';
import { readlinkSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { requires } from '../../support/requires.ts';
import { bundleDriver, canRunSteps, drive, driveOne, userExists } from './harness.ts';

const users = ['root', inject('ordinaryUser')].filter((name) =>
  requires(`root, to run steps as user "${name}"`, canRunSteps() && userExists(name)),
);
if (users.length === 0) it.skip('needs root, to run steps as several users', () => {});
let directory = '';

beforeAll(async () => {
  directory = await bundleDriver();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe.each(users)('a step of %s', (user) => {
  const step = (script: string, more = {}) => driveOne(directory, user, { script, ...more });

  it('sees its own processes, host name, environment and nothing of the host', async () => {
    const { stdout, status } = await step(
      'busybox hostname; busybox env | busybox sort; ls /proc/self/fd; busybox pwd; ls /; cat /proc/self/mountinfo',
    );
    expect(status).toEqual({ kind: 'exited', code: 0 });
    const [head = '', mounts = ''] = stdout.split('sys\n');
    expect(head).toBe('box\nGREETING=hi\nPATH=/bin\nPWD=/\nSHLVL=1\n0\n1\n2\n3\n/\nbin\ndev\netc\nproc\n');
    const targets = mounts.split('\n').flatMap((line) => line.split(' ')[4] ?? []);
    expect(targets.filter((path) => !/^\/($|proc|sys|dev|etc\/(hosts|resolv.conf)$)/.test(path))).toEqual([]);
    expect(stdout).not.toContain('/tsbuild-sandbox-');
    expect(stdout).not.toContain('SECRET');
  });

  it('has the capabilities of Docker as root and none as another user', async () => {
    const show = 'busybox grep -E "Cap|NoNewPrivs|Umask|Groups" /proc/self/status; id';
    const { stdout } = await step(show);
    for (const name of ['Prm', 'Eff', 'Bnd']) expect(stdout).toContain(`Cap${name}:\t00000000a80425fb`);
    expect(stdout).toContain('CapInh:\t0000000000000000');
    expect(stdout).toContain('NoNewPrivs:\t0');
    expect(stdout).toContain('Umask:\t0022');
    const other = await step(show, { uid: 1000, gid: 1001, groups: [7, 8] });
    for (const name of ['Prm', 'Eff', 'Amb']) expect(other.stdout).toContain(`Cap${name}:\t0000000000000000`);
    expect(other.stdout).toContain('CapBnd:\t00000000a80425fb');
    expect(other.stdout).toContain('Groups:\t7 8');
    expect(other.stdout).toContain('uid=1000 gid=1001');
  });

  it('has a minimal /dev, a read-only /sys and masked /proc files', async () => {
    const { stdout, stderr } = await step(
      'ls /dev; echo x >/dev/null; echo x >/dev/shm/a; busybox wc -c </proc/timer_list; echo y >/sys/kernel/x; echo z >/proc/sys/kernel/hostname; ' +
        'busybox mknod /d b 8 0; busybox mount -t tmpfs t /bin; echo done',
    );
    expect(stdout).toBe(
      `${'fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero'.replaceAll(' ', '\n')}\n0\ndone\n`,
    );
    expect(stderr).toContain("can't create /proc/sys/kernel/hostname: Read-only file system");
    expect(stderr).toContain('mknod: /d: Operation not permitted');
    expect(stderr).toMatch(/mount:.*(denied|permitted)/);
  });

  it('cannot look into PID 1, which is of the host', async () => {
    const { stdout } = await step(
      'ls /proc/1/root 2>&1; cat /proc/1/fd/0 2>&1; busybox readlink /proc/1/fd/1; busybox readlink /proc/1/exe; cat /proc/1/environ 2>&1; busybox kill -9 1; echo alive',
    );
    expect(stdout.match(/denied/g)?.length).toBe(3);
    expect(stdout).toContain('alive');
  });

  it.each([
    { what: 'a program', wanted: { argv: ['/proc/1/exe', '-c', 'echo in'] } },
    { what: 'a program by its own name', wanted: { argv: ['/proc/self/exe', '-e', '1'] } },
    { what: 'a working directory', wanted: { script: 'echo in', cwd: '/proc/1/cwd' } },
    { what: 'a working directory by a descriptor', wanted: { script: 'echo in', cwd: '/proc/self/fd/9' } },
  ])(
    'is not started in PID 1 or in what starts it: $what of the image (the shapes of CVE-2019-5736 and CVE-2024-21626)',
    async ({ wanted }) => {
      const { status, stdout } = await driveOne(directory, user, wanted);
      expect(status?.kind).toBe('not-started');
      expect(stdout).toBe('');
    },
  );

  it('has only lo, up, without a network', async () => {
    const { stdout } = await step('ls /sys/class/net; busybox ip addr show lo; busybox ip route', { network: 'none' });
    expect(stdout).toMatch(/^lo\n1: lo: <LOOPBACK,UP/);
    expect(stdout).toContain('inet 127.0.0.1/8');
  });

  it('reads end of file, has no terminal, and may open its outputs by name as any user', async () => {
    const { stdout, stderr } = await step('cat; echo out >/dev/stdout; echo err >/dev/stderr; cat </dev/tty', {
      uid: 1000,
      gid: 1000,
    });
    expect(stdout).toBe('out\n');
    expect(stderr).toMatch(/^err\n/);
    expect(stderr).toContain("can't open /dev/tty");
  });

  it('says how it ended', async () => {
    const { steps } = await drive(directory, user, {
      steps: [
        { script: 'exit 7' },
        { script: 'busybox kill -9 $$' },
        { argv: ['missing'] },
        { argv: ['/etc'] },
        { argv: ['/text'] },
        { argv: ['/plain'] },
        { cwd: '/nowhere' },
        { uid: 4_000_000_000 },
      ],
      entries: [
        { path: 'text', content: 'x' },
        { path: 'plain', content: 'echo hi\n', mode: 0o755 },
      ],
    });
    expect(steps.slice(0, 7).map(({ status, error }) => status ?? error)).toEqual([
      { kind: 'exited', code: 7 },
      { kind: 'signaled', signal: 'SIGKILL' },
      { kind: 'not-started', reason: '"missing": not found in $PATH (127)' },
      { kind: 'not-started', reason: '"/etc": is a directory (126)' },
      { kind: 'not-started', reason: '"/text": permission denied (126)' },
      { kind: 'not-started', reason: '"/plain": exec format error: neither a program nor a script with #! (126)' },
      { kind: 'not-started', reason: 'cannot enter the working directory "/nowhere": ENOENT' },
    ]);
    if (user !== 'root') expect(steps[7]?.error).toMatch(/^E_ID_NOT_MAPPED/);
  });

  it('leaves no process and no mount, whether it ends, fails or is aborted', async () => {
    const answer = await drive(directory, user, {
      steps: [
        { script: 'sleep 4321 & exit 0' },
        { script: 'sleep 4321 & exit 1' },
        { script: 'echo on; (sleep 4321 &); sleep 4321', abortAfterMs: 400 },
      ],
    });
    expect(answer.steps[2]?.error).toMatch(/^E_CANCELLED/);
    expect(answer.steps[2]?.stdout).toBe('on\n');
    expect(Math.max(...answer.steps.map(({ ms }) => ms))).toBeLessThan(30_000);
    expect(answer.children).toBe('');
    expect(answer.isMountTableSame).toBe(true);
    expect(answer.overlay).toBeUndefined();
    expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toContain('sleep 4321');
  });

  it('leaves no stub behind, and keeps what it wrote beside one', async () => {
    const [scratch, wrote] = (await drive(directory, user, { steps: [{}, { script: 'echo x >/etc/mine' }] })).steps;
    expect(scratch?.upper).toEqual([]);
    expect(scratch?.stubs).toEqual(['/proc', '/sys', '/dev', '/etc/resolv.conf', '/etc/hosts']);
    expect(wrote?.upper).toEqual(['etc', 'etc/mine']);
  });

  it('gets read-only files and directories of its own', async () => {
    const { stdout, stderr, upper } = await step(
      '/run/script; echo x >/run/script; ls -ldn /w /w/x | busybox cut -c1-30',
      {
        files: [{ path: '/run/script', content: '#!/bin/sh\necho from script\n' }],
        directories: [{ path: '/w/x', uid: 5, gid: 6 }],
        cwd: '/w/x',
      },
    );
    expect(stdout).toMatch(/^from script\ndrwxr-xr-x {4}3 5 {8}6 +\ndrwxr-xr-x {4}2 5 {8}6 +\n$/);
    expect(stderr).toContain('Read-only file system');
    expect(upper).toEqual(['w', 'w/x']);
  });

  it('is not led outside by a hostile root', async () => {
    const { steps, outside } = await drive(directory, user, {
      steps: [{ script: 'cat /etc/hosts; busybox readlink /proc; ls /real-proc/self/fd; ls /real-dev/null' }],
      entries: [
        { path: 'etc/resolv.conf', link: '/tmp/tsbuild-outside' },
        { path: 'proc', link: '../../../../real-proc' },
        { path: 'dev', link: '/real-dev' },
        { path: 'loop', link: '/loop' },
      ],
    });
    expect(outside).toBe(false);
    expect(steps[0]?.stdout).toBe(
      '127.0.0.1\tlocalhost box\n::1\tlocalhost ip6-localhost ip6-loopback\n../../../../real-proc\n0\n1\n2\n3\n/real-dev/null\n',
    );
    expect(steps[0]?.stubs).toEqual(['/real-proc', '/sys', '/real-dev', '/tmp/tsbuild-outside', '/etc/hosts']);
    expect(steps[0]?.upper).toEqual(['etc']);
  });

  it('sees 200 layers, in the step and in a view', async () => {
    const { steps, viewed } = await drive(directory, user, {
      layers: 200,
      steps: [{ script: 'ls / | busybox grep -c from-' }],
    });
    expect(steps[0]?.stdout).toBe('200\n');
    expect(viewed.filter((name) => name.startsWith('from-'))).toHaveLength(200);
  });

  it('has its own rights and namespaces whatever steps ran before it, and with whatever rights', async () => {
    const show =
      'busybox grep -E "^(Uid|Gid|Groups|CapPrm|CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status; busybox hostname; ' +
      'busybox readlink /proc/self/ns/ipc; busybox readlink /proc/self/ns/uts; busybox readlink /proc/self/ns/net; busybox pwd';
    const common = { script: show };
    const { steps } = await drive(directory, user, {
      steps: [
        common,
        { ...common, uid: 1000, gid: 1001, groups: [7, 8], cwd: '/bin', hostname: 'other' },
        { ...common, network: 'none', settings: { capabilities: [], noNewPrivileges: true } },
        { argv: ['/missing'], uid: 1000, gid: 1000 },
        common,
        { ...common, network: 'none' },
      ],
    });
    const lines = steps.map(({ stdout }) => stdout.trim().split(/\n/));
    const [first = [], , weak = [], missing, again = [], alone = []] = lines;
    expect(missing).toEqual(['']);
    const isSpace = (line: string): boolean => /^(ipc|uts):/.test(line);
    expect(again.filter((line) => !isSpace(line))).toEqual(first.filter((line) => !isSpace(line)));
    expect(first).toContain('CapEff:\t00000000a80425fb');
    expect(weak).toContain('CapBnd:\t0000000000000000');
    expect(weak).toContain('NoNewPrivs:\t1');
    expect(again).toContain('NoNewPrivs:\t0');
    // numbers of namespaces that are gone are given again, so those of two steps may be the same
    const ours = ['ipc', 'uts'].map((name) => readlinkSync(`/proc/self/ns/${name}`));
    const spaces = lines.flatMap((found) => found.filter(isSpace));
    expect(spaces).toHaveLength(2 * 5);
    expect(spaces.filter((space) => ours.includes(space))).toEqual([]);
    const networks = [first, weak, again, alone].map((found) => found.find((line) => line.startsWith('net:')));
    expect(networks[0]).toBe(networks[2]);
    expect(networks[1]).not.toBe(networks[0]);
    expect(networks[3]).not.toBe(networks[0]);
  });

  it('runs beside another one', async () => {
    const script = 'busybox hostname; cat /proc/uptime; sleep 1; cat /proc/uptime';
    const { steps } = await drive(directory, user, {
      isParallel: true,
      steps: [
        { script, hostname: 'a' },
        { script, hostname: 'b' },
      ],
    });
    const [one, other] = steps.map(({ stdout }) => stdout.split(/\s+/));
    expect([one?.[0], other?.[0]]).toEqual(['a', 'b']);
    // each began before the other one ended
    expect(Number(one?.[1])).toBeLessThan(Number(other?.[3]));
    expect(Number(other?.[1])).toBeLessThan(Number(one?.[3]));
  });

  it('gains the rights of a setuid program', async () => {
    const { steps } = await drive(directory, user, {
      isSetuid: true,
      steps: [{ argv: ['/bin/su', 'root', '-c', 'id -u'], uid: 1000, gid: 1000 }],
      entries: [
        { path: 'etc/passwd', content: 'root::0:0::/:/bin/sh\nuser::1000:1000::/:/bin/sh\n' },
        { path: 'etc/group', content: 'root::0:\n' },
      ],
    });
    expect(steps[0]?.stdout + String(steps[0]?.stderr)).toBe('0\n');
  });
});
