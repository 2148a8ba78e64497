import type { ImageConfig, Platform } from '../oci/index.ts';
import type { ImageEdits } from './options.ts';
import { withEnv } from './scope.ts';
import { type StageState, withConfig, withHistory } from './stage-state.ts';

/** A stage before its first instruction. `isBase`: it starts from an image or from nothing. */
export function withFirstEdits(state: StageState, edits: ImageEdits, isBase: boolean): StageState {
  const { Labels: _dropped, ...config } = state.config;
  const kept = edits.inheritLabels ? state : { ...state, config };
  const pairs = Object.entries(edits.env);
  if (!isBase || pairs.length === 0) return kept;
  const text = pairs.map(([name, value]) => `${name}=${value}`).join(' ');
  return withHistory({ ...kept, scope: withEnv(kept.scope, pairs) }, `ENV ${text}`);
}

/** The target after its last instruction. `--label`s come last, as one instruction, as in buildah. */
export function withLastEdits(
  state: StageState,
  labels: Readonly<Record<string, string>>,
  edits: ImageEdits,
): StageState {
  const labelled = withLabels(state, labels);
  const env = new Map([...labelled.scope.env].filter(([name]) => !edits.unsetEnv.includes(name)));
  const scope = { ...labelled.scope, env };
  const { Labels, ...config } = labelled.config;
  if (Labels === undefined || edits.unsetLabels.length === 0) return { ...labelled, scope };
  const kept = without(Labels, edits.unsetLabels);
  return { ...labelled, scope, config: Object.keys(kept).length === 0 ? config : { ...config, Labels: kept } };
}

function withLabels(state: StageState, labels: Readonly<Record<string, string>>): StageState {
  const pairs = Object.entries(labels);
  if (pairs.length === 0) return state;
  const text = pairs.map(([name, value]) => `${name}=${value}`).join(' ');
  return withHistory(withConfig(state, { Labels: { ...state.config.Labels, ...labels } }), `LABEL ${text}`);
}

/** Those of the final manifest. */
export function editedAnnotations(
  base: Readonly<Record<string, string>>,
  { annotations, unsetAnnotations, inheritAnnotations }: ImageEdits,
): Readonly<Record<string, string>> {
  return without({ ...(inheritAnnotations ? base : {}), ...annotations }, unsetAnnotations);
}

/** What the base image demands of its kernel is kept where the command line says nothing else. */
export function editedPlatform(platform: Platform, base: ImageConfig | undefined, edits: ImageEdits): Platform {
  const features = edits.osFeatures.reduce(withFeature, textsOf(base?.['os.features']));
  const version = platform['os.version'] ?? base?.['os.version'];
  return {
    ...platform,
    ...(typeof version === 'string' ? { 'os.version': version } : {}),
    ...(features.length === 0 ? {} : { 'os.features': features }),
  };
}

function withFeature(features: readonly string[], name: string): readonly string[] {
  if (name.endsWith('-')) return features.filter((feature) => feature !== name.slice(0, -1));
  return features.includes(name) ? features : [...features, name];
}

/** A received config may hold anything. */
const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];

function without(record: Readonly<Record<string, string>>, names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));
}
