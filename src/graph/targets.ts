import type { Containerfile, StageSyntax } from '../parser/index.ts';
import { lookupDescription } from './description.ts';
import { location, sourceInfo } from './lint/print.ts';
import { textTable } from './text-table.ts';

/** The stages of a file, for `--print targets`; a stage without a name is called by its number. */
export function targetsText(file: Containerfile): string {
  const rows = file.stages.map((stage, index) => {
    const { image, name = String(index) } = stage.from;
    const isDefault = index === file.stages.length - 1;
    return [isDefault ? `${name} (default)` : name, image.text, descriptionOf(stage) ?? ''];
  });
  return textTable([['TARGET', 'BASE', 'DESCRIPTION'], ...rows]);
}

/** BuildKit's shape (`--call=targets,format=json`). */
export function targetsJson(file: Containerfile): string {
  const targets = file.stages.map((stage, index) => ({
    name: stage.from.name,
    default: index === file.stages.length - 1 || undefined,
    description: descriptionOf(stage),
    base: stage.from.image.text,
    platform: stage.from.platform?.text,
    location: location(stage.from.range),
  }));
  return `${JSON.stringify({ targets, sources: [sourceInfo(file.source).data] }, undefined, 2)}\n`;
}

const descriptionOf = ({ from }: StageSyntax): string | undefined => lookupDescription(from.comments, from.name);
