/** Options of `docker build`, `docker buildx build` and `buildah build` that this program does not have yet. */
const BUILD_OPTIONS =
  'all-platforms allow attest blob-cache builder cdi-config-dir cert-dir cgroupns ' +
  'compat-volumes compress compression-level cpp-flag creds cw decryption-key device ' +
  'digest-file disable-compression disable-content-trust group-add hooks-dir ipc ' +
  'layer-label logfile logsplit manifest net no-hostname no-hosts no-pivot-root omit-history ' +
  'output-format pid policy provenance resource retry retry-delay runtime-flag save-stages sbom ' +
  'sbom-image-output sbom-image-purl-output sbom-merge-strategy sbom-output sbom-purl-output ' +
  'sbom-scanner-command sbom-scanner-image sign-by skip-unused-stages source-policy-file squash-all stage-labels ' +
  'stdin transient-run-mounts userns userns-gid-map userns-gid-map-group userns-uid-map userns-uid-map-user uts';

const SHORT_OPTIONS = ['-D'];

const NAMES: ReadonlySet<string> = new Set([...BUILD_OPTIONS.split(' ').map((name) => `--${name}`), ...SHORT_OPTIONS]);

/** Whether another builder knows this option: the answer to it is "not built yet", not "unknown". */
export function isForeignOption(option: string): boolean {
  return NAMES.has(option);
}
