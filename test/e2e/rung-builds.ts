import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Twenty Containerfiles after their FROM: what they do differs in what it asks of a rung. */
export const RUNG_BUILDS: Readonly<Record<string, string>> = {
  'owners-by-id':
    'RUN mkdir /o && touch /o/a /o/b && chown 1000:2000 /o/a && chown 65534 /o/b && chown -h 7:7 /o\nRUN chown -R 1:2 /o',
  'owners-by-name':
    'RUN touch /n && chown nobody:nogroup /n\nCOPY --chown=nobody:nogroup f /copied\nCOPY --chown=1234:4321 f /new/deep/',
  modes:
    'RUN mkdir /m && cd /m && touch a b c && chmod 4755 a && chmod 2711 b && chmod 0 c && mkdir t s && chmod 1777 t && chmod 2770 s\nRUN chown 5:5 /m/a\nCOPY --chmod=4711 f /m/f',
  capabilities:
    'COPY tools/ /\nRUN cp /bin/busybox /ping && setcap cap_net_raw+ep /ping && getcap /ping\nRUN chmod 711 /ping',
  devices:
    'RUN (mknod /null c 1 3; mknod /loop b 7 0) 2>/dev/null; ls /null /loop 2>/dev/null; true\nRUN mknod /pipe p && chmod 640 /pipe',
  users:
    'RUN echo eve:x:1500:1500::/home/eve:/bin/sh >> /etc/passwd && (echo eve:x:1500:; echo crew:x:1600:eve) >> /etc/group && mkdir -p /home/eve && chown eve:crew /home/eve\nUSER eve\nRUN id > ~/id && umask 077 && mkdir ~/secret && touch ~/secret/x',
  package: 'COPY p.tar /\nRUN tar -xpf /p.tar -C / && rm /p.tar && chown -R 33:33 /srv/www && ln -s /srv/www /var-www',
  'tar-owners':
    'COPY p.tar /\nRUN mkdir /t && tar -xpf /p.tar -C /t && tar -cf /t/again.tar -C /t srv/www/index\nADD p.tar /added/',
  'hard-links':
    'RUN mkdir /l && echo x > /l/a && ln /l/a /l/b && ln /l/b /l/z\nRUN rm /l/a && echo more >> /l/z\nRUN ln /bin/busybox /l/busybox && ln /l/b /etc/b',
  opaque:
    'RUN mkdir -p /d/e && touch /d/a /d/e/b\nRUN rm -r /d && mkdir /d && touch /d/new\nRUN rm -r /d/new && mkdir /d/e',
  whiteouts:
    'RUN mkdir -p /w/x && touch /w/a /w/b /w/x/c\nRUN : >> /w/a && : >> /etc/passwd && exec 3<>/etc/group\nRUN rm /w/a /w/x/c\nRUN rm -r /w/x && touch /w/x\nRUN rm -r /w',
  moves:
    'RUN mkdir -p /v/one/two && echo 1 > /v/one/f && echo 2 > /v/one/two/f\nRUN mv /v/one /v/moved\nRUN mv /etc/group /etc/group- && mv /etc/group- /etc/group && mv /v/moved/two /v/',
  'last-id':
    'RUN touch /last && chown 65534:65534 /last && mkdir -m 700 /own && chown 65534 /own\nUSER 65534:65534\nRUN touch /own/file /tmp/theirs && id -u > /own/id',
  fifos: 'RUN mkfifo -m 600 /fifo && mkdir /f && mkfifo /f/x && chown 12:13 /f/x',
  'long-names': `RUN touch /${'n'.repeat(255)} && mkdir -p /${'deep/'.repeat(40)} && ln -s ${'../'.repeat(60)}x /link`,
  'link-owners':
    'RUN ln -s /nowhere /dangling && chown -h 1000:1001 /dangling && ln -s /etc/passwd /p && chown -h 3:4 /p',
  'user-switch':
    'RUN mkdir -m 1777 /u\nUSER 1000:1000\nRUN umask > /u/mask && touch /u/a && mkdir /u/d && chmod g+s /u/d\nUSER 0\nRUN touch /u/root && chown 0:1000 /u/root\nWORKDIR /u/made/by/workdir\nRUN touch here',
  sticky: 'RUN mkdir -m 1777 /s && mkdir -m 1755 /s/t && touch /s/t/f\nRUN chmod 1700 /s && chmod +t /s/t',
  xattrs:
    'COPY tools/ /\nRUN echo x > /x && setfattr -n user.one -v 1 /x && setfattr -n user.bin -v 0x00ff /x && mkdir /xd && setfattr -n user.d -v d /xd\nRUN setfattr -x user.one /x',
  mounts:
    'RUN --mount=type=cache,target=/cache/deep --mount=type=tmpfs,target=/tmp/t --mount=type=bind,source=f,target=/bound/f --mount=type=bind,from=fifos,target=/other echo c > /cache/deep/c; touch /tmp/t/x /kept; cat /bound/f >> /kept; ls /other >> /kept\nRUN (echo x > /etc/hosts; echo y > /etc/resolv.conf) 2>/dev/null; rm -f /dev/nothing; echo out > /dev/stdout; echo err > /dev/stderr\nRUN <<EOF\necho heredoc > /doc\nEOF',
};

/** All of them as stages of one file, with a last one that needs them all. */
export function rungContainerfile(base: string): string {
  const stages = Object.entries(RUNG_BUILDS).map(([name, text]) => `FROM ${base} AS ${name}\n${text}\n`);
  const copies = Object.keys(RUNG_BUILDS).map((name) => `COPY --from=${name} /etc/passwd /all/${name}\n`);
  return `${stages.join('')}FROM ${base}\n${copies.join('')}`;
}

/** Puts into the context what text cannot say: an archive with owners, and programs for attributes with their libraries. */
export function prepareRungContext(context: string): void {
  const tree = join(context, 'tree');
  mkdirSync(join(tree, 'srv/www'), { recursive: true });
  copyFileSync('/etc/hostname', join(tree, 'srv/www/index'));
  const metadata = ['--sort=name', '--mtime=@1500000000', '--owner=1000', '--group=2000', '--numeric-owner'];
  execFileSync('tar', [...metadata, '--mode=u=rwX,g=rX,o=', '-C', tree, '-cf', join(context, 'p.tar'), 'srv']);
  for (const program of ['/sbin/setcap', '/sbin/getcap', '/usr/bin/setfattr'])
    copyProgram(program, join(context, 'tools'));
}

function copyProgram(program: string, target: string): void {
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' });
  const libraries = [...listed.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  copyInto(join(target, 'bin'), program, basename(program));
  for (const library of libraries) copyInto(join(target, dirname(library)), library, basename(library));
}

function copyInto(directory: string, file: string, name: string): void {
  mkdirSync(directory, { recursive: true });
  copyFileSync(realpathSync(file), join(directory, name));
}
