/** Options of `docker build`, `docker buildx build` and `buildah build` that this program does not have yet. */
const BUILD_OPTIONS =
  'all-platforms allow attest blob-cache builder cache-from cache-to cache-ttl ' +
  'cdi-config-dir cert-dir cgroupns compat-volumes compress cpp-flag ' +
  'creds decryption-key device disable-compression ' +
  'disable-content-trust force-compression group-add hooks-dir ' +
  'ipc isolation layer-label ' +
  'logfile logsplit manifest no-cache-filter no-hostname no-hosts no-pivot-root ' +
  'omit-history output-format pid policy provenance retry retry-delay ' +
  'runtime runtime-flag save-stages sbom sign-by skip-unused-stages ' +
  'source-policy-file squash-all stdin transient-run-mounts ' +
  'userns userns-gid-map userns-uid-map uts';

const SHORT_OPTIONS = ['-D'];

const NAMES: ReadonlySet<string> = new Set([...BUILD_OPTIONS.split(' ').map((name) => `--${name}`), ...SHORT_OPTIONS]);

/** Whether another builder knows this option: the answer to it is "not built yet", not "unknown". */
export function isForeignOption(option: string): boolean {
  return NAMES.has(option);
}
