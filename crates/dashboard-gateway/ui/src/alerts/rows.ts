// Alerts as rows: what the alert manager knows and what rules have pending.

import type { Alert, AlertGroup } from "../api/alertmanager";
import type { LabelSet, RuleAlert, RuleGroup } from "../api/prometheus";

export interface AlertRow {
  key: string;
  state: "firing" | "pending" | "silenced" | "inhibited";
  labels: LabelSet;
  annotations: LabelSet;
  /** Milliseconds since the epoch. */
  since: number;
  receivers: string[];
  query?: string;
  alert?: Alert;
}

export interface RowGroup {
  key: string;
  receiver: string;
  labels: LabelSet;
  rows: AlertRow[];
}

const labelKey = (labels: LabelSet) => JSON.stringify(Object.entries(labels).sort());

export function toRows(active: Alert[], groups: RuleGroup[]): AlertRow[] {
  const queries = new Map(groups.flatMap((group) => group.rules.map((rule) => [rule.name, rule.query] as const)));
  const rows: AlertRow[] = active.map((alert) => ({
    key: alert.fingerprint,
    state: alert.status.silencedBy.length > 0 ? "silenced" : alert.status.inhibitedBy.length > 0 ? "inhibited" : "firing",
    labels: alert.labels,
    annotations: alert.annotations,
    since: Date.parse(alert.startsAt),
    receivers: alert.receivers.map((receiver) => receiver.name),
    query: queries.get(alert.labels.alertname ?? ""),
    alert,
  }));
  const known = new Set(rows.map((row) => labelKey(row.labels)));
  const fromRule = (alert: RuleAlert, query: string): AlertRow => ({
    key: `${alert.state}/${labelKey(alert.labels)}`,
    state: alert.state === "pending" ? "pending" : "firing",
    labels: alert.labels,
    annotations: alert.annotations,
    since: Date.parse(alert.activeAt),
    receivers: [],
    query,
  });
  for (const group of groups) {
    for (const rule of group.rules) {
      for (const alert of rule.alerts ?? []) {
        if (alert.state === "pending" || (alert.state === "firing" && !known.has(labelKey(alert.labels)))) rows.push(fromRule(alert, rule.query));
      }
    }
  }
  const weight = { firing: 0, pending: 1, inhibited: 2, silenced: 3 };
  return rows.sort((a, b) => weight[a.state] - weight[b.state] || b.since - a.since);
}

/** Rows as notifications tell them; what no group has (pending, not sent yet) comes last. */
export function grouped(rows: AlertRow[], groups: AlertGroup[]): RowGroup[] {
  const byKey = new Map(rows.map((row) => [row.key, row]));
  const told = new Set<string>();
  const out = groups.map((group, i): RowGroup => {
    const members = group.alerts.flatMap((alert) => byKey.get(alert.fingerprint) ?? []);
    members.forEach((row) => told.add(row.key));
    return { key: `${group.receiver.name}/${labelKey(group.labels)}/${i}`, receiver: group.receiver.name, labels: group.labels, rows: members };
  });
  const rest = rows.filter((row) => !told.has(row.key));
  if (rest.length > 0) out.push({ key: "rest", receiver: "", labels: {}, rows: rest });
  return out.filter((group) => group.rows.length > 0);
}

/** The left side of a comparison with a number shows more than the comparison itself; and the number is the threshold. */
export function comparison(query: string): { left: string; threshold?: number } {
  const match = /^([\s\S]+?)\s*(?:==|!=|>=|<=|>|<)\s*(-?[\d.]+(?:e[+-]?\d+)?)\s*$/.exec(query);
  if (!match) return { left: query };
  const depth = [...match[1]!].reduce((sum, c) => sum + (c === "(" ? 1 : c === ")" ? -1 : 0), 0);
  return depth === 0 && !/\b(and|or|unless)\b/.test(match[1]!) ? { left: match[1]!, threshold: Number(match[2]) } : { left: query };
}
