/** `# name what it is`, directly above an ARG or FROM, describes it (BuildKit's doc comments). */
export function lookupDescription(comments: readonly string[], name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  return comments.find((comment) => comment.startsWith(`${name} `))?.slice(name.length + 1);
}
