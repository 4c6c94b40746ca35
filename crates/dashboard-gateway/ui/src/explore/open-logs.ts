// From series to the logs of what they stand for.

import type { LabelSet } from "../api/prometheus";
import { ALL_LINES } from "../api/loki";
import { navigate } from "../router";

const NAMES_MAX = 20;

/** The log query for the containers of some series; all lines where they name none. */
export function logsOf(labels: LabelSet[]): string {
  const names = [...new Set(labels.map((set) => set.name ?? set.container).filter((name) => name !== undefined))];
  const pattern = names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  return names.length > 0 && names.length <= NAMES_MAX ? `{container=~${JSON.stringify(pattern)}}` : ALL_LINES;
}

export function openLogs(start: number, end: number, labels: LabelSet[]) {
  navigate("explore", { logs: logsOf(labels), from: String(Math.round(start)), to: String(Math.round(end)) });
}
