// The alert manager's API v2.

import { call } from "./http";
import type { LabelSet } from "./prometheus";

export interface Alert {
  fingerprint: string;
  labels: LabelSet;
  annotations: LabelSet;
  startsAt: string;
  endsAt: string;
  updatedAt: string;
  generatorURL: string;
  receivers: { name: string }[];
  status: { state: "active" | "suppressed" | "unprocessed"; silencedBy: string[]; inhibitedBy: string[] };
}

export interface SilenceMatcher {
  name: string;
  value: string;
  isRegex: boolean;
  isEqual: boolean;
}

export interface Silence {
  id: string;
  status: { state: "active" | "pending" | "expired" };
  matchers: SilenceMatcher[];
  startsAt: string;
  endsAt: string;
  createdBy: string;
  comment: string;
  /** Some mean something to our alert manager: `watchbell_until_resolved`, `watchbell_recurrence`, `watchbell_warn_before`. */
  annotations?: LabelSet;
}

export const alerts = (signal?: AbortSignal) => call<Alert[]>("alertmanager/api/v2/alerts", { signal });

export const silences = (signal?: AbortSignal) => call<Silence[]>("alertmanager/api/v2/silences", { signal });

export const createSilence = (silence: Omit<Silence, "id" | "status">) =>
  call<{ silenceID: string }>("alertmanager/api/v2/silences", { json: silence });

export const expireSilence = (id: string) => call<void>(`alertmanager/api/v2/silence/${encodeURIComponent(id)}`, { method: "DELETE" });

export const amStatus = (signal?: AbortSignal) =>
  call<{ config: { original: string }; versionInfo: { version: string }; uptime: string }>("alertmanager/api/v2/status", { signal });

/** Whether a label set passes all matchers; a missing label compares as "". */
export function matches(labels: LabelSet, matchers: SilenceMatcher[]): boolean {
  return matchers.every((matcher) => {
    const value = labels[matcher.name] ?? "";
    let hit: boolean;
    if (matcher.isRegex) {
      try {
        hit = new RegExp(`^(?:${matcher.value})$`, "s").test(value);
      } catch {
        return false;
      }
    } else {
      hit = value === matcher.value;
    }
    return hit === matcher.isEqual;
  });
}

/** Reads `name="value", other=~"re.*"`; quotes may be left out. Undefined where it cannot be read. */
export function parseMatchers(text: string): SilenceMatcher[] | undefined {
  const found: SilenceMatcher[] = [];
  const pattern = /\s*([^\s=!~,{}"]+)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^,"{}]*?))\s*(?:,|$)/y;
  const body = text.trim().replace(/^\{|\}$/g, "");
  while (pattern.lastIndex < body.length) {
    const match = pattern.exec(body);
    if (!match) return undefined;
    const [, name, op, quoted, bare] = match;
    const value = quoted !== undefined ? quoted.replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c)) : (bare ?? "");
    found.push({ name: name!, value, isRegex: op!.endsWith("~"), isEqual: !op!.startsWith("!") });
  }
  return found;
}

export function formatMatcher(matcher: SilenceMatcher): string {
  const op = matcher.isRegex ? (matcher.isEqual ? "=~" : "!~") : matcher.isEqual ? "=" : "!=";
  return `${matcher.name}${op}${JSON.stringify(matcher.value)}`;
}

/** Alerts of one group, as one notification tells them. */
export interface AlertGroup {
  labels: LabelSet;
  receiver: { name: string };
  alerts: Alert[];
}

export const alertGroups = (signal?: AbortSignal) => call<AlertGroup[]>("alertmanager/api/v2/alerts/groups", { signal });
