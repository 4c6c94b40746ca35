// Names of series.

import type { LabelSet } from "../api/prometheus";
import { visible } from "./text";

/** `{{label}}` in a legend replaced; a missing label is empty. */
export function applyLegend(format: string, labels: LabelSet): string {
  return format.replace(/\{\{\s*([^}]+?)\s*\}\}/g, (_, name: string) => labels[name] ?? "");
}

/** name{a="b"} as PromQL writes it. */
export function seriesName(labels: LabelSet): string {
  const { __name__: name = "", ...rest } = labels;
  const pairs = Object.entries(rest).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return pairs.length === 0 && name ? name : `${name}{${pairs.join(", ")}}`;
}

/** The name of each series: by format, or automatically by the labels in which they differ. */
export function nameSeries(all: LabelSet[], format: string | undefined): string[] {
  return rawNames(all, format).map(visible);
}

function rawNames(all: LabelSet[], format: string | undefined): string[] {
  if (format && format !== "__auto") return all.map((labels) => applyLegend(format, labels));
  if (format !== "__auto") return all.map(seriesName);
  const names = new Set(all.flatMap((labels) => Object.keys(labels)));
  const differing = [...names].filter((name) => new Set(all.map((labels) => labels[name])).size > 1);
  return all.map((labels) => {
    if (all.length === 1 || differing.length === 0) return seriesName(labels);
    if (differing.length === 1) return labels[differing[0]!] ?? "–";
    return differing.map((name) => labels[name] ?? "").filter(Boolean).join(" ");
  });
}
