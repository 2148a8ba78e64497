// `npm test`: all tests, on a machine that had only Node and npm. Arguments go to vitest.
import { spawnSync } from 'node:child_process';
import { ensureDebianPackages, ensureNodeModules, ROOT } from './machine.mjs';

ensureNodeModules();
ensureDebianPackages({
  uidmap: '/usr/bin/newuidmap',
  'busybox-static': '/bin/busybox',
  'docker-registry': '/usr/bin/docker-registry',
  skopeo: '/usr/bin/skopeo',
  umoci: '/usr/bin/umoci',
  buildah: '/usr/bin/buildah',
  podman: '/usr/bin/podman',
  runc: '/usr/sbin/runc', // for --isolation oci, and for containers as denied as Docker's, in which the lower rungs are tested
  'xz-utils': '/usr/bin/xz',
  bzip2: '/bin/bzip2',
  git: '/usr/bin/git',
  zstd: '/usr/bin/zstd',
  'libcap2-bin': '/sbin/setcap',
  attr: '/usr/bin/setfattr',
  'apache2-utils': '/usr/bin/htpasswd',
  openssl: '/usr/bin/openssl',
  // private networks of steps
  passt: '/usr/bin/pasta',
  slirp4netns: '/usr/bin/slirp4netns',
});
const { status } = spawnSync('npx', ['vitest', 'run', ...process.argv.slice(2)], { cwd: ROOT, stdio: 'inherit' });
process.exit(status ?? 1);
