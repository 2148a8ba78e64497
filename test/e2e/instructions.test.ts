import { describe, expect, inject, it } from 'vitest';
import { hasBase, people } from '../support/person.ts';
import { inspect, succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');
const REGISTRY = inject('registry');
/** What the steps of a build wrote. */
const printed = (stderr: string): string[] =>
  stderr.split('\n').flatMap((line) => /^#\d+ \| (.*)/.exec(line)?.[1] ?? []);

describe.runIf(hasBase()).each(people())('instructions in builds by $name', (person) => {
  const project = (text: string): Workspace => workspace(person, { containerfile: `FROM ${BASE}\n${text}` });

  it('WORKDIR makes what is missing for the USER, and leaves what is there (8.4 #106)', async () => {
    const space = project(`RUN echo bob:x:1000:100::/: >> /etc/passwd && mkdir -m 755 /there
USER bob
WORKDIR /a/b
WORKDIR /there
RUN stat -c '%u:%g %a %n' /a /a/b /there; pwd
USER root
WORKDIR sub
RUN stat -c '%u:%g %a %n' .; pwd
`);
    const { stderr } = await space.build(['--progress', 'plain']);
    expect(printed(stderr)).toEqual([
      '1000:100 755 /a',
      '1000:100 755 /a/b',
      '0:0 755 /there',
      '/there',
      '0:0 755 .',
      '/there/sub',
    ]);
  });

  it('USER takes names and numbers: with a group only that one, without it all groups of the user', async () => {
    const forms = ['bob', 'bob:extra', '1000', '1000:2000', '4321', '"1000:1"'];
    const space =
      project(`RUN echo bob:x:1000:100::/: >> /etc/passwd && printf 'extra:x:2000:bob\\nown:x:100:\\n' >> /etc/group
${forms.map((form) => `USER ${form}\nRUN echo "$(id -u) $(id -g) $(id -G)"`).join('\n')}
`);
    const { stderr } = await space.build(['--progress', 'plain']);
    expect(printed(stderr)).toEqual([
      '1000 100 100 2000',
      '1000 2000 2000',
      '1000 100 100 2000',
      '1000 2000 2000',
      '4321 0 0',
      '1000 1 1',
    ]);
  });

  it('HEALTHCHECK, ONBUILD and SHELL stay in OCI output, with every option', async () => {
    const space = project(`SHELL ["/bin/sh", "-ec"]
HEALTHCHECK --interval=5s --timeout=1m --start-period=2s --start-interval=1500ms --retries=4 CMD check it
ONBUILD RUN echo triggered
MAINTAINER me@example.org
EXPOSE 80 443/UDP 7000-7001/sctp
STOPSIGNAL SIGRTMIN+3
VOLUME ["/a b"]
ENTRYPOINT serve
`);
    await space.build(['-t', 'all']);
    const image = await inspect(space, 'all');
    expect(image.MediaType).toBe('application/vnd.oci.image.manifest.v1+json');
    expect(image).toMatchObject({ Author: 'me@example.org' });
    expect(image.Config).toMatchObject({
      Healthcheck: {
        Test: ['CMD-SHELL', 'check it'],
        Interval: 5_000_000_000,
        Timeout: 60_000_000_000,
        StartPeriod: 2_000_000_000,
        StartInterval: 1_500_000_000,
        Retries: 4,
      },
      OnBuild: ['RUN echo triggered'],
      Shell: ['/bin/sh', '-ec'],
      Entrypoint: ['/bin/sh', '-ec', 'serve'],
      ExposedPorts: { '80/tcp': {}, '443/udp': {}, '7000/sctp': {}, '7001/sctp': {} },
      StopSignal: 'SIGRTMIN+3',
      Volumes: { '/a b': {} },
    });
  });

  it('triggers of a base run first, and copy from a stage of the file that uses it (8.5 #128)', async () => {
    const space = project('ONBUILD COPY --from=assets /made /copied\nONBUILD RUN cat /copied\n');
    await space.build(['-t', 'parent']);
    space.write({
      Containerfile: `FROM ${BASE} AS assets\nRUN echo asset > /made\nFROM localhost/parent\nRUN echo "own after $(cat /copied)"\n`,
    });
    const { stderr } = await space.build(['-t', 'child', '--progress', 'plain']);
    expect(printed(stderr)).toEqual(['asset', 'own after asset']);
    expect((await inspect(space, 'child')).Config.OnBuild).toBeUndefined();
  });

  it('a base in Docker format becomes OCI, its layers with it (8.5 #126)', async () => {
    const name = `${REGISTRY}/e2e/docker-base-${person.isRoot ? 'root' : 'user'}:1`;
    const parent = project('RUN echo base > /made\n');
    await parent.build(['-t', 'docker-base', '--format', 'docker']);
    succeeded(await parent.tsbuild(['push', '--format', 'docker', 'docker-base', name]));
    const space = workspace(person, { containerfile: `FROM ${name}\nLABEL a=b\n` });
    await space.build(['-t', 'child']);
    const mediaType = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
    expect(await inspect(space, name)).toMatchObject({ Layers: [{ mediaType }, { mediaType }] });
    const gzip = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' };
    expect(await inspect(space, 'child')).toMatchObject({
      MediaType: 'application/vnd.oci.image.manifest.v1+json',
      Layers: [gzip, gzip],
    });
  });
});
