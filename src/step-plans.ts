import type { BuildEvent } from './events.ts';
import { type BuildGraph, type Node, type NodeId, stepsOf } from './graph/index.ts';
import { formatPlatform, type Platform } from './oci/index.ts';

type Plan = Extract<BuildEvent, { type: 'plan' }>;

/** A graph and the platform that was asked for. */
export interface PlatformGraph {
  readonly platform: Platform;
  readonly graph: BuildGraph;
}

/** What is announced before steps run: a plan for each platform; a step that several need stands in each of theirs. */
export function plansOf(targets: readonly PlatformGraph[]): readonly Plan[] {
  const users = new Map<NodeId, number>();
  for (const { id } of targets.flatMap(({ graph }) => stepsOf(graph))) users.set(id, (users.get(id) ?? 0) + 1);
  return targets.map(({ platform, graph }) => ({
    type: 'plan',
    steps: stepsOf(graph).map((step) => {
      const { id, stage, label } = step;
      if (targets.length === 1) return { id, stage, label };
      const isShared = (users.get(id) ?? 0) > 1;
      return { id, platform: isShared ? formatPlatform(step.platform) : namesOf(step, platform), stage, label };
    }),
  }));
}

/** As in BuildKit: `linux/amd64->arm64` is a step on amd64 whose result serves arm64 only. */
function namesOf({ platform }: Node, target: Platform): string {
  const [own, wanted] = [formatPlatform(platform), formatPlatform(target)];
  return own === wanted ? own : `${own}->${wanted.slice(wanted.indexOf('/') + 1)}`;
}
