// What our alert manager answers beyond API v2; another one answers 404 to these.

import { ApiError, call } from "./http";
import type { LabelSet } from "./prometheus";

const BASE = "alertmanager/api/watchbell/v1";

/** True where the server does not know a call, so that the page says so instead of failing. */
export function isMissing(error: unknown): boolean {
  return error instanceof ApiError && [404, 405, 501].includes(error.status);
}

/** One entry of the event log; which fields it has depends on its type. */
export interface AlertEvent {
  /** Nanoseconds since the epoch. */
  at: number;
  type: string;
  labels?: LabelSet;
  fingerprint?: string;
  receiver?: string;
  integration?: string;
  group_key?: string;
  reason?: string;
  firing?: number | string[];
  resolved?: number | string[];
  attempts?: number;
  took_ms?: number;
  answer?: string | null;
  error?: string | null;
  template_error?: string | null;
  owner?: string;
  comment?: string;
  matchers?: string[];
  expires_at?: number | string;
  id?: string;
  created_by?: string;
  ends_at?: number | string;
}

export const history = (from: number, to: number, limit: number, signal?: AbortSignal) =>
  call<AlertEvent[]>(`${BASE}/history?${new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), limit: String(limit) })}`, { signal });

export interface Ack {
  fingerprint: string;
  owner: string;
  comment: string;
  /** Milliseconds since the epoch. */
  until: number;
}

const toMs = (time: number | string | undefined): number => (typeof time === "number" ? time / 1e6 : Date.parse(time ?? ""));

/** The acknowledgements in force, from the event log: a removal, an end of the alert or its new beginning ends one. */
export function acksInForce(events: AlertEvent[], now: number): Map<string, Ack> {
  const acks = new Map<string, Ack>();
  for (const event of [...events].sort((a, b) => a.at - b.at)) {
    const { fingerprint } = event;
    if (!fingerprint) continue;
    if (event.type === "acknowledged") acks.set(fingerprint, { fingerprint, owner: event.owner ?? "", comment: event.comment ?? "", until: toMs(event.expires_at) });
    else if (["acknowledgement_removed", "alert_resolved", "alert_firing"].includes(event.type)) acks.delete(fingerprint);
  }
  for (const [key, ack] of acks) if (ack.until <= now) acks.delete(key);
  return acks;
}

export const acknowledge = (fingerprints: string[], owner: string, comment: string, duration: string) =>
  call<unknown>(`${BASE}/acks`, { json: { fingerprints, owner, comment, duration } });

export const removeAck = (fingerprint: string) => call<void>(`${BASE}/acks/${encodeURIComponent(fingerprint)}`, { method: "DELETE" });

export interface SilencePreview {
  firing: { fingerprint: string; labels: LabelSet; startsAt: string }[];
  past: { fingerprint: string; labels: LabelSet; times: number; last: string | number }[];
}

export const previewSilence = (matchers: string[], signal?: AbortSignal) => call<SilencePreview>(`${BASE}/silences/preview`, { json: { matchers }, signal });

export interface ExplainedRoute {
  path?: string[];
  receiver: string;
  groupKey?: string;
  groupLabels?: LabelSet;
  groupWaitSeconds?: number;
  groupIntervalSeconds?: number;
  repeatIntervalSeconds?: number;
  mutedBy?: string[];
  inactive?: string[];
  muteTimeIntervals?: string[];
  activeTimeIntervals?: string[];
  group?: { alerts: number; nextFlush: string | number | null } | null;
  integrations?: { integration: string; lastTold: string | number | null }[];
  rendered?: { integration: string; requests?: { method: string; host: string; body: string }[]; error?: string }[];
}

/** A node of the routing tree, with what it inherits filled in. */
export interface RouteNode {
  /** The matchers on the way from the root: the first part of its groups' keys. */
  key: string;
  matchers: string[];
  receiver: string;
  groupBy: string[];
  groupWaitSeconds: number;
  groupIntervalSeconds: number;
  repeatIntervalSeconds: number;
  muteTimeIntervals: string[];
  activeTimeIntervals: string[];
  continue: boolean;
  routes: RouteNode[];
}

export const routes = (signal?: AbortSignal) => call<RouteNode | null>(`${BASE}/routes`, { signal });

export interface Explanation {
  verdict?: string;
  routes: ExplainedRoute[];
  silencedBy: unknown[];
  inhibitedBy: unknown[];
  acknowledgedBy?: unknown;
}

/** Who is told of an alert with these labels, now or at a time; an older server knows the routes only. */
export async function explain(labels: LabelSet, render: boolean, at?: string): Promise<Explanation> {
  try {
    return await call<Explanation>(`${BASE}/explain`, { json: { labels, render, ...(at ? { at } : {}) } });
  } catch (error) {
    if (!isMissing(error)) throw error;
    return call<Explanation>(`${BASE}/route?${new URLSearchParams(labels)}`);
  }
}

export interface ReceiverHealth {
  name: string;
  used?: boolean;
  fallback?: { receiver: string; afterSeconds: number } | null;
  integrations: {
    integration: string;
    index: number;
    state: "untried" | "ok" | "failing";
    lastAttempt: string | number | null;
    lastSuccess: string | number | null;
    failingSince: string | number | null;
    failures: number;
    lastError: string | null;
    waiting: number;
  }[];
}

export const receivers = (signal?: AbortSignal) => call<ReceiverHealth[]>(`${BASE}/receivers`, { signal });

export const testReceiver = (name: string) =>
  call<{ integration: string; index: number; ok: boolean; answer: string }[]>(`${BASE}/receivers/${encodeURIComponent(name)}/test`, { method: "POST" });

/** A time of these calls, RFC 3339 or nanoseconds, in ms; undefined where there is none. */
export function timeOf(time: string | number | null | undefined): number | undefined {
  if (time === null || time === undefined) return undefined;
  const ms = toMs(time);
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}
