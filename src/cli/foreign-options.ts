/** Options of `docker build`, `docker buildx build` and `buildah build` that this program does not have yet. */
const BUILD_OPTIONS =
  'add-host all-platforms allow attest blob-cache builder cache-from cache-to cache-ttl ' +
  'cap-add cap-drop cdi-config-dir cert-dir cgroup-parent cgroupns check compat-volumes compress cpp-flag cpu-period ' +
  'cpu-quota cpu-shares cpuset-cpus cpuset-mems creds decryption-key device disable-compression ' +
  'disable-content-trust dns dns-option dns-search force-compression group-add hooks-dir ' +
  'http-proxy ipc isolation layer-label ' +
  'logfile logsplit manifest memory memory-swap no-cache-filter no-hostname no-hosts no-pivot-root ' +
  'omit-history output-format pid policy provenance retry retry-delay ' +
  'runtime runtime-flag save-stages sbom security-opt shm-size sign-by skip-unused-stages ' +
  'source-policy-file squash-all stdin transient-run-mounts ulimit ' +
  'userns userns-gid-map userns-uid-map uts volume';

const SHORT_OPTIONS = ['-m', '-c', '-v', '-D'];

const NAMES: ReadonlySet<string> = new Set([...BUILD_OPTIONS.split(' ').map((name) => `--${name}`), ...SHORT_OPTIONS]);

/** Whether another builder knows this option: the answer to it is "not built yet", not "unknown". */
export function isForeignOption(option: string): boolean {
  return NAMES.has(option);
}
