// The part of a configuration that says who is told.

/** The `route:` section of an alert manager's YAML, up to the next key at its depth. */
export function routeSection(yaml: string): string | undefined {
  const lines = yaml.split("\n");
  const start = lines.findIndex((line) => /^route:/.test(line));
  if (start < 0) return undefined;
  const length = lines.slice(start + 1).findIndex((line) => /^[^\s#-]/.test(line));
  return lines.slice(start, length < 0 ? undefined : start + 1 + length).join("\n").trimEnd();
}
