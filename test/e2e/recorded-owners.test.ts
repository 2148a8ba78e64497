import { describe, expect, inject, it } from 'vitest';
import { hasBase, people, peopleWithOneId } from '../support/person.ts';
import { inspect, succeeded, type Workspace, workspace } from '../support/workspace.ts';

const BASE = inject('base');
const env = { SOURCE_DATE_EPOCH: '1700000000' };

/** What steps do with owners and users; the output of the last stage says what they saw. */
const CONTAINERFILE = `FROM ${BASE} AS one
RUN mkdir /o && cd /o && touch a b c && chown 33:44 a && chown nobody b && chown 12345:54321 c && chmod 4755 a && chown 5 a && ls -ln > /seen-owners
RUN cd /o && ln -s /nowhere l && chown -h 3:4 l && ln l l2 && mkfifo p && chown 6:7 p && mv p p2 && ln a hard && mknod null c 1 3; true
RUN mkdir /g && chgrp 50 /g && chmod 2775 /g && touch /g/f && mkdir /g/d && ln -s x /g/l && mkfifo /g/p && cp -a /o/a /g/copy && cp /o/a /g/mine
RUN cd /o && tar cf /t.tar a c l2 p2 && mkdir /out && tar xf /t.tar -C /out && rm /t.tar && mv /out /moved && rm -r /g/d
USER 1000:100
RUN umask 027; mkdir /tmp/u && cd /tmp/u && touch a && ln -s a l && mkfifo p && ln -s through dangling && echo x > dangling && chown 1000:100 a && ! chown 0 a 2>/dev/null
RUN ! touch /mine 2>/dev/null; ! test -w /etc/passwd; test -w /tmp/u; id > /tmp/u/id; ls -ln /tmp/u > /tmp/ls; cut -c1-40 /tmp/ls > /tmp/u/list; rm /tmp/ls
USER root
RUN cp /bin/busybox /bin/sid && chmod 4755 /bin/sid && rm -f /seen-owners
RUN mkdir -p /jail/bin && cp /bin/busybox /jail/bin/ && touch /jail/f && chown 66:77 /jail/f && ln -s /f /jail/l && chroot /jail /bin/busybox stat -L -c '%u %g' /l > /o/jailed && chroot /jail /bin/busybox chown 5 /l
USER 7:8
RUN (cd /tmp; (sleep 0.2; touch /tmp/orphan) & ) ; sleep 0.6; ls -ln /tmp/orphan | cut -c1-30 > /tmp/seen
FROM ${BASE}
COPY --from=one /o /o
COPY --from=one /tmp /tmp
COPY --from=one --chown=9:10 /g /g
COPY --chown=77:nogroup Containerfile /new/deep/
WORKDIR /work/here
RUN --mount=type=bind,from=one,target=/mnt ls -ln /mnt/o /mnt/g /mnt/moved /mnt/jail/f | sed 's/ [A-Z][a-z][a-z] .*:.. / /; s/ [A-Z][a-z][a-z] .* 20.. / /' > /list
RUN --mount=type=cache,target=/cache,uid=1000,mode=0700 stat -c '%u %g %a' /cache > /cached && touch /cache/f && chown 5 /cache/f && stat -c %u /cache/f >> /cached
RUN --mount=type=tmpfs,target=/t touch /t/x && chown 44:55 /t/x /dev/shm && stat -c '%u %g' /t/x /dev/shm > /volatile
RUN chown -R 0:0 /o/a && rm /o/c && mv /g/copy /o/`;

const layersOf = async (space: Workspace): Promise<readonly string[]> => (await inspect(space, 'same')).RootFS.Layers;

/** Who has real owners. */
const [real] = people();

describe.runIf(hasBase()).each(peopleWithOneId())('for a $name', (person) => {
  it('steps that chown, make files as others and copy give the same layers as with real owners', async () => {
    const spaces = [person, ...(real ? [real] : [])].map((who) => workspace(who, { containerfile: CONTAINERFILE }));
    for (const space of spaces) await space.build(['-t', 'same'], { env });
    const [recorded, ...others] = await Promise.all(spaces.map(layersOf));
    for (const layers of others) expect(recorded).toEqual(layers);
    const { stderr } = (await spaces[0]?.build(['-t', 'same'], { env })) ?? { stderr: '' };
    expect(stderr).toContain('all cached');
  });

  it('the build and tsbuild info say why, and what makes it better', async () => {
    const space = workspace(person, { containerfile: `FROM ${BASE}\nRUN true\n` });
    expect((await space.build()).stderr).toContain('rung c');
    const { stdout } = succeeded(await space.tsbuild(['info']));
    expect(stdout).toMatch(/rung:\s+c: an ordinary user with one id/);
    expect(stdout).toMatch(/user ids:\s+1 uid and 1 gid/);
  });

  it('a step ends as it does elsewhere: by status, by signal, and with what it left running', async () => {
    const space = workspace(person, { containerfile: `FROM ${BASE}\nRUN (sleep 60 &); id; exit 7\n` });
    const { status, stderr } = await space.tryBuild();
    expect(status).toBe(5);
    expect(stderr).toContain('exit status 7');
  });
});

/** Any of them may do without the ids that he has. */
const [user] = people().filter(({ isRoot }) => !isRoot);

describe.runIf(hasBase() && user !== undefined)('a store that was used with one id', () => {
  it('is read with sub-ids, and built upon', async () => {
    if (user === undefined) throw new Error('there is nobody');
    const first = `FROM ${BASE}\nRUN mkdir /d && chown 1:2 /d && ln -s x /d/l && chown -h 3:4 /d/l\n`;
    const space = workspace(user, { containerfile: first });
    const recorded = { ...env, TSBUILD_OWNERS: 'recorded' };
    await space.build(['-t', 'same'], { env: recorded });
    const before = await layersOf(space);
    expect((await space.build(['-t', 'same'], { env })).stderr).toContain('all cached');
    expect(await layersOf(space)).toEqual(before);
    const tar = `${space.store}/out.tar`;
    await space.build(['-o', `type=tar,dest=${tar}`], { env });
    const { stdout } = await user.run(['tar', '--numeric-owner', '-tvf', tar, 'd/', 'd/l']);
    expect(stdout).toMatch(/1\/2 .* d\/\n.* 3\/4 .* d\/l -> x/);
    space.write({ Containerfile: `${first}RUN ls -ln /d | grep -q ' 3 *4 ' && touch /d/more\n` });
    expect((await space.build(['-t', 'same'], { env })).stderr).toContain('1 cached');
    space.write({ Containerfile: `${first}RUN ls -ln /d | grep -q ' 3 *4 ' && touch /d/more\nRUN chown 9 /d/more\n` });
    expect((await space.build(['-t', 'same'], { env: recorded })).stderr).not.toContain('all cached');
  });
});

describe.runIf(hasBase())('whoever asks for real owners', () => {
  it.each(peopleWithOneId())('and has no ids for it is told what to do ($name)', async (person) => {
    const space = workspace(person, { containerfile: `FROM ${BASE}\nRUN true\n` });
    const outcome = await space.tryBuild([], { env: { TSBUILD_OWNERS: 'real' } });
    if (outcome.status !== 0) expect(outcome.stderr).toMatch(/E_NO_SUBUID[\s\S]*usermod --add-subuids/);
    const wrong = await space.tryBuild([], { env: { TSBUILD_OWNERS: 'both' } });
    expect(wrong.stderr).toContain('E_USAGE');
  });
});
