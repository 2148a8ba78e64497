import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A build whose steps write the same each time, once SOURCE_DATE_EPOCH bounds the times. */
export interface DeterministicBuild {
  readonly name: string;
  readonly text: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Puts into the context what text cannot say. */
  readonly prepare?: (context: string) => void;
}

export const SOURCE_DATE_EPOCH = '1700000000';

/** A tar with an owner, a mode, a link and a time of its own. */
function makeArchive(context: string): void {
  const tree = join(context, 'tree');
  mkdirSync(join(tree, 'sub'), { recursive: true });
  writeFileSync(join(tree, 'sub/file'), 'from the archive\n');
  const metadata = ['--sort=name', '--mtime=@1500000000', '--owner=1000', '--group=2000', '--numeric-owner'];
  execFileSync('tar', [...metadata, '--mode=0640', '-C', tree, '-czf', join(context, 'tree.tar.gz'), 'sub/file']);
  rmSync(tree, { recursive: true });
}

const LONG = 'long-name-'.repeat(20);

export const deterministicBuilds = (base: string): readonly DeterministicBuild[] => [
  {
    name: 'times set by the steps',
    text: `FROM ${base}
RUN mkdir -p /d/e && echo 1 > /d/a && echo 2 > /d/e/b && touch -d @1000000000 /d/a /d/e/b && touch -d @1100000000 /d/e && touch -d @1200000000 /d
RUN echo 3 >> /d/a && touch -d @1300000000 /d/a
RUN touch -h -d @1 /bin/sh`,
  },
  {
    name: 'owners by id and by name',
    text: `FROM ${base}
RUN mkdir /o && touch /o/a /o/b /o/c /o/d && chown 1000:2000 /o/a && chown nobody:nogroup /o/b && chown 65534 /o/c && chown :12345 /o/d && chown 7:7 /o
RUN chown -R 1:2 /o
COPY --chown=nobody:nogroup f /o/copied
COPY --chown=1234:4321 f /o/new/deep/`,
    files: { f: 'f' },
  },
  {
    name: 'hard and symbolic links',
    text: `FROM ${base}
RUN mkdir /l && echo x > /l/a && ln /l/a /l/b && ln /l/b /l/z && ln -s a /l/s && ln -s /nowhere /l/dangling && ln -s .. /l/up
RUN rm /l/a && echo more >> /l/z
RUN ln /bin/busybox /l/busybox`,
  },
  {
    name: 'modes, setuid among them',
    text: `FROM ${base}
RUN mkdir /m && cd /m && touch a b c d && chmod 4755 a && chmod 2711 b && chmod 0 c && chmod 1777 d && mkdir t && chmod 1770 t
RUN chmod 600 /m/a /etc/passwd
COPY --chmod=4711 f /m/f`,
    files: { f: 'f' },
  },
  {
    name: 'deletions and opaque directories',
    text: `FROM ${base}
RUN mkdir -p /d/sub/deep /gone && touch /d/one /d/sub/two /d/sub/deep/three /gone/f
RUN rm -r /gone /d/one /bin/wget && rm -rf /d/sub && mkdir /d/sub && echo new > /d/sub/new
RUN rm -r /d/sub && echo file > /d/sub && rm /etc/group && mkdir /etc/group`,
  },
  {
    name: 'directories moved and metadata changed',
    text: `FROM ${base}
RUN mkdir -p /a/b/c && echo 1 > /a/b/c/f && ln /a/b/c/f /a/b/g
RUN mv /a/b /moved && chmod 700 /moved/c
RUN touch -d @1400000000 /moved/c/f && chown 5:5 /moved/g`,
  },
  {
    name: 'a fifo, an empty directory, an empty file, a sparse file',
    text: `FROM ${base}
RUN mkfifo /fifo && mkdir /empty && : > /nothing && dd if=/dev/zero of=/sparse bs=1 count=1 seek=1048576 2>/dev/null
RUN chmod 622 /fifo`,
  },
  {
    name: 'long and odd names',
    text: `FROM ${base}
RUN mkdir -p "/n/${LONG}/${LONG}" && echo 1 > "/n/${LONG}/${LONG}/file" && ln -s "${LONG}/${LONG}/file" /n/link
RUN cd /n && touch 'with space' 'é ü 漢' './-dash' 'back\\\\slash' "$(printf 'new\\nline')" '.hidden' 'a:b' '*'
COPY . /n/copied/`,
    files: { [`${LONG}x`]: 'long', 'sp ace': 's', dé: 'd' },
  },
  {
    name: 'an archive, wildcards, a heredoc',
    text: `FROM ${base}
WORKDIR /w/x
ADD tree.tar.gz .
COPY *.txt dir ./
COPY <<EOF /w/inline
inline
EOF
RUN <<EOF
cat *.txt > all
EOF`,
    files: { 'a.txt': 'a', 'b.txt': 'b', 'dir/sub/c': 'c' },
    prepare: makeArchive,
  },
  {
    name: 'stages that run beside each other',
    text: `FROM ${base} AS one
RUN mkdir /out && echo 1 > /out/one && chown 11:12 /out/one
FROM ${base} AS two
RUN mkdir /out && echo 2 > /out/two && ln /out/two /out/again
FROM scratch AS three
COPY f /out/three
FROM ${base}
ENV A=1
COPY --from=one /out /out
COPY --from=two --chown=9:9 /out/ /out/
COPY --from=three /out/three /out/deep/er
USER 1000:1000
RUN ls -ln /out > /tmp/listing; cut -c1-40 /tmp/listing > /tmp/short; rm /tmp/listing
CMD ["/bin/true"]`,
    files: { f: 'f' },
  },
];
