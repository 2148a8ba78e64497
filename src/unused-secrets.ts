import type { SecretSource } from './api.ts';
import type { GraphWarning, Node } from './graph/index.ts';
import { type Containerfile, type StageInstruction, suggest } from './parser/index.ts';

/** These serve ADD and the context (`remote-credentials.ts`); no mount names them. */
const CREDENTIALS = /^(?:GIT|HTTP)_AUTH_/;

/**
 * A `--secret` that no mount of the file (nor of a trigger that runs) asks for is probably misspelt: a mount that is not
 * `required` would go without it in silence.
 */
export function unusedSecrets(
  file: Containerfile,
  nodes: readonly Node[],
  given: readonly SecretSource[],
): readonly GraphWarning[] {
  const written = file.stages.flatMap((stage) => stage.instructions).flatMap(mountValues);
  // an id that is expanded may be any
  if (given.length === 0 || written.some((text) => text.includes('$'))) return [];
  const run = nodes.flatMap(({ op }) => (op.kind === 'run' ? op.mounts : []));
  const ran = run.flatMap((mount) => (mount.type === 'secret' ? [mount.id] : []));
  const asked = new Set([...ran, ...written.map((text) => text.replace(/^.*\//, ''))]);
  return [...new Set(given.map(({ id }) => id))]
    .filter((id) => !asked.has(id) && !written.includes(id) && !CREDENTIALS.test(id))
    .map((id) => {
      const near = suggest(id, asked);
      const hint = near === undefined ? `Ask for it with RUN --mount=type=secret,id=${id}` : `Did you mean "${near}"?`;
      return { message: `Secret "${id}" is not used: no mount asks for it`, hint };
    });
}

/** An id may also come from the target's last name. */
function mountValues(instruction: StageInstruction): readonly string[] {
  if (instruction.kind === 'ONBUILD') return mountValues(instruction.instruction);
  if (instruction.kind !== 'RUN') return [];
  return instruction.mounts
    .filter(({ fields }) => fields.some(({ key, value }) => key === 'type' && /secret|\$/.test(value?.text ?? '')))
    .flatMap(({ fields }) => fields)
    .filter(({ key }) => key === 'id' || key === 'target')
    .flatMap(({ value }) => (value === undefined ? [] : [value.text]));
}
