import { canonicalJson, formatPlatform, type Json } from '../oci/index.ts';
import type { BuildGraph, GraphWarning, PlannedHistory } from './graph.ts';
import { definitionOf, nodesInOrder } from './nodes.ts';
import type { Node, NodeId } from './op.ts';

type Numbers = ReadonlyMap<NodeId, number>;

function fieldLines(value: Json): string[] {
  return Object.entries(value ?? {}).flatMap(([key, field]: [string, Json | undefined]) =>
    field === undefined || field === false || key === 'kind' || (Array.isArray(field) && field.length === 0)
      ? []
      : [`    ${key}: ${canonicalJson(field)}`],
  );
}

function nodeLines(node: Node, numbers: Numbers): string[] {
  const inputs = node.inputs.map(({ id }) => `#${numbers.get(id)}`);
  const head = `  #${numbers.get(node.id)} ${node.op.kind}${inputs.length === 0 ? '' : ` <- ${inputs.join(', ')}`}`;
  const place = node.inputs.length === 0 ? '' : ` [${node.slot}] ${node.label}`;
  return [`${head}${place}`, ...fieldLines(definitionOf(node.op))];
}

function historyLine({ entry, node }: PlannedHistory, numbers: Numbers): string {
  const mark = node === undefined ? '-' : `#${numbers.get(node)}`;
  return `  ${mark} ${JSON.stringify(entry.created_by ?? '').slice(1, -1)}`;
}

function warningLine({ message, range, hint }: GraphWarning): string {
  const place = range ? `${range.source.name}:${range.start.line}: ` : '';
  return `  ${place}${message}${hint === undefined ? '' : ` (${hint})`}`;
}

const section = (title: string, lines: readonly string[]): string[] => (lines.length === 0 ? [] : [title, ...lines]);

/** Stable text of a graph, for `--print graph`: nodes are numbered, inputs first; ends with a line feed. */
export function dumpGraph(graph: BuildGraph): string {
  const nodes = nodesInOrder(graph.target);
  const numbers: Numbers = new Map(nodes.map(({ id }, index) => [id, index + 1]));
  const stages = new Map<string, Node[]>();
  for (const node of nodes) stages.set(node.stage, [...(stages.get(node.stage) ?? []), node]);
  const { config, author, annotations } = graph;
  const facts = JSON.parse(canonicalJson({ ...config, author, annotations } as unknown as Json)) as Json; // a config is JSON
  const lines = [
    `target: #${numbers.get(graph.target.id)} for ${formatPlatform(graph.platform)}`,
    ...[...stages].flatMap(([name, members]) =>
      section(
        `stage ${name}`,
        members.flatMap((node) => nodeLines(node, numbers)),
      ),
    ),
    ...section(
      'config',
      fieldLines(facts).map((line) => line.slice(2)),
    ),
    ...section(
      'base history',
      graph.baseHistory.map((entry) => historyLine({ entry }, numbers)),
    ),
    ...section(
      'history',
      graph.history.map((planned) => historyLine(planned, numbers)),
    ),
    ...section('warnings', graph.warnings.map(warningLine)),
  ];
  return `${lines.join('\n')}\n`;
}
