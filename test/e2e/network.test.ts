import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { chmodSync, existsSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { serveFiles } from '../support/file-server.ts';
import { hasBase, type Person, people } from '../support/person.ts';
import { mayLack, requires } from '../support/requires.ts';
import { inspect, succeeded, workspace } from '../support/workspace.ts';

const BASE = inject('base');
const NAME_SERVER = '127.0.0.77';
const everybody = people();
const root = everybody.find(({ isRoot }) => isRoot);
const hasHelpers = requires(
  'pasta and slirp4netns (Debian: passt, slirp4netns)',
  ['/usr/bin/pasta', '/usr/bin/slirp4netns'].every((path) => existsSync(path)),
);

interface Machine {
  readonly resolvConf: string;
  /** A /dev/net/tun that everybody may open. */
  readonly tunnel: string;
}

function makeMachine(person: Person): Machine {
  const directory = person.directory();
  const machine = { resolvConf: join(directory, 'resolv.conf'), tunnel: join(directory, 'tun') };
  writeFileSync(machine.resolvConf, `search example.test\nnameserver ${NAME_SERVER}\n`);
  execFileSync('mknod', [machine.tunnel, 'c', '10', '200']);
  chmodSync(machine.tunnel, 0o666);
  return machine;
}

/** Runs tsbuild as somebody on a machine with these files. Only root can set it up. */
function runOn({ resolvConf, tunnel }: Machine, person: Person, script: string, args: readonly string[]) {
  if (root === undefined) throw new Error('The tests do not run as root');
  const setUp = `mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /dev/net/tun && shift 2 && ${script}`;
  const user = person.isRoot
    ? []
    : ['setpriv', '--reuid', person.login, '--regid', person.login, '--init-groups', '--'];
  const command = [...user, process.execPath, inject('installed'), ...args];
  const namespace = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', setUp, 'sh', resolvConf, tunnel];
  const env = {
    HOME: person.home,
    XDG_DATA_HOME: join(person.home, 'data'),
    XDG_RUNTIME_DIR: join(person.home, 'run'),
  };
  return root.run([...namespace, ...command], { env });
}

/** Answers every name with 198.51.100.7, on the host's loopback. */
async function serveNames(): Promise<void> {
  const server = createSocket('udp4');
  server.on('message', (query, { port, address }) => {
    const question = query.subarray(0, query.indexOf(0, 12) + 5);
    const isV4 = question.readUInt16BE(question.length - 4) === 1;
    const header = Buffer.from([question[0] ?? 0, question[1] ?? 0, 0x81, 0x80, 0, 1, 0, isV4 ? 1 : 0, 0, 0, 0, 0]);
    const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 7]);
    server.send(Buffer.concat([header, question.subarray(12), ...(isV4 ? [answer] : [])]), port, address);
  });
  await new Promise<void>((resolve) => server.bind(53, NAME_SERVER, resolve));
  onTestFinished(() => void server.close());
}

async function canBePrivate(person: Person): Promise<boolean> {
  if (!existsSync('/etc/resolv.conf') || !existsSync('/dev/net/tun')) return false;
  const { stdout } = await runOn(makeMachine(person), person, 'exec "$@"', ['info']);
  return /^private network: by pasta or slirp4netns$/m.test(stdout);
}

const isPossible =
  hasBase() && hasHelpers && requires('root, to change what the machine shows', root !== undefined)
    ? mayLack('a tunnel device (/dev/net/tun)', (await Promise.all(everybody.map(canBePrivate))).every(Boolean))
    : false;

describe.runIf(isPossible).each(everybody)('a private network of $name', (person) => {
  it.each([
    ['pasta', 'nameserver 169.254.1.1'],
    ['slirp4netns', 'nameserver 10.0.2.3'],
  ])(
    "leads out by %s, to the host's name server on its loopback, and to nothing else there",
    async (helper, server) => {
      await serveNames();
      const host = await serveFiles({ '/': { body: 'of the host' } });
      const space = workspace(person, {
        containerfile: [
          `FROM ${BASE}`,
          'RUN cat /etc/resolv.conf; nslookup name.test; ls /sys/class/net',
          `RUN wget -T 2 -O- ${host.url} || echo refused`,
        ].join('\n'),
      });
      const args = ['--root', space.store, 'build', '--network', helper, space.context];
      const { stderr } = succeeded(await runOn(makeMachine(person), person, 'exec "$@"', args));
      expect(stderr).toContain(`#1 | search example.test\n#1 | ${server}\n`);
      expect(stderr).toContain('Address: 198.51.100.7');
      expect(stderr).toMatch(/#1 \| lo\n/);
      expect(stderr).toContain('| refused');
      expect(stderr).not.toContain('of the host');
      const { port } = new URL(host.url);
      space.write({
        Containerfile: `FROM ${BASE}\nRUN wget -qO- "http://$(sed -n 's/\\tmachine//p' /etc/hosts):${port}"; nslookup name.test\n`,
      });
      const asked = await runOn(makeMachine(person), person, 'exec "$@"', [...args, '--add-host=machine:host-gateway']);
      expect(succeeded(asked).stderr).toMatch(/\| of the host(.|\n)*Address: 198.51.100.7/);
    },
  );

  it('is an error where no helper works, and the network of the host where nobody asked for it', async () => {
    const machine = makeMachine(person);
    rmSync(machine.tunnel);
    writeFileSync(machine.tunnel, 'no device');
    chmodSync(machine.tunnel, 0o666);
    const space = workspace(person, { containerfile: `FROM ${BASE}\nRUN ls /sys/class/net\n` });
    const build = (...args: readonly string[]) =>
      runOn(machine, person, 'exec "$@"', ['--root', space.store, 'build', '--no-cache', ...args, space.context]);
    const { status, stderr } = await build('--network', 'private');
    expect([status, stderr]).toEqual([
      6,
      expect.stringMatching(/^error\[E_NO_NETWORK\]: .* is not the tunnel device/m),
    ]);
    expect(stderr).toContain('next: Use --network=host');
    const seen = succeeded(await build()).stderr;
    for (const name of readdirSync('/sys/class/net')) expect(seen).toContain(`| ${name}\n`);
  });

  it('leaves no process behind when the build is killed', async () => {
    const space = workspace(person, { containerfile: `FROM ${BASE}\nRUN readlink /proc/self/ns/user; sleep 50\n` });
    const log = join(space.store, 'log');
    const script = `{ "$@" > ${log} 2>&1 & p=$!; until grep -q 'user:\\[' ${log}; do sleep 0.1; done; kill -9 $p; cat ${log}; }`;
    const args = ['--root', space.store, 'build', '--network', 'private', '--progress', 'plain', space.context];
    const { stdout } = await runOn(makeMachine(person), person, script, args);
    const namespace = /user:\[\d+\]/.exec(stdout)?.[0];
    expect(namespace).toBeDefined();
    const inside = (): readonly string[] => processesIn(namespace ?? '');
    for (let tries = 0; tries < 100 && inside().length > 0; tries++) await sleep(50);
    expect(inside()).toEqual([]);
  });
});

const processesIn = (namespace: string): readonly string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/ns/user`) === namespace;
    } catch {
      return false; // it has just ended
    }
  });

describe.runIf(hasBase()).each(everybody)('the network of a step that $name runs', (person) => {
  it('gets the predefined proxy arguments in either case, and neither image nor key has them', async () => {
    const space = workspace(person, {
      containerfile: `FROM ${BASE}\nRUN echo "$HTTP_PROXY $no_proxy" > /seen\n`,
    });
    const proxies = (host: string) => [
      ...['--build-arg', `HTTP_PROXY=http://${host}:1`],
      ...['--build-arg', `no_proxy=${host}`],
    ];
    const tar = join(space.store, 'out.tar');
    await space.build([...proxies('one.invalid'), '-t', 'image0', '-o', `type=tar,dest=${tar}`]);
    const { stdout } = await person.run(['tar', '-xOf', tar, 'seen']);
    expect(stdout).toBe('http://one.invalid:1 one.invalid\n');
    expect(JSON.stringify(await inspect(space, 'image0'))).not.toContain('one.invalid');
    const { stderr } = await space.build(proxies('two.invalid'));
    expect(stderr).toContain('1 step, all cached');
  });
});
