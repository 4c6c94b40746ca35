// The gateway's own API (docs/api.md beside this folder).

import { call } from "./http";

export interface Session {
  user: string;
  role: string;
  version: string;
  now_ms: number;
  initial_password: boolean;
}

export const session = () => call<Session>("api/session");
export const login = (user: string, password: string) => call<Session>("api/login", { json: { user, password } });
export const logout = () => call<void>("api/logout", { method: "POST" });
export const changePassword = (old: string, next: string) => call<void>("api/user/password", { json: { old, new: next } });

export interface DashboardHit {
  uid: string;
  title: string;
  tags: string[];
  folderTitle?: string;
  isStarred: boolean;
}

export const searchDashboards = (signal?: AbortSignal) => call<DashboardHit[]>("api/search", { signal });

export interface StoredDashboard {
  dashboard: Record<string, unknown>;
  meta: { version: number; folderTitle?: string; provisioned?: boolean; isStarred?: boolean; canSave?: boolean; updated?: string };
}

export const dashboard = (uid: string, signal?: AbortSignal) =>
  call<StoredDashboard>(`api/dashboards/uid/${encodeURIComponent(uid)}`, { signal });

export const saveDashboard = (model: unknown, message: string, overwrite: boolean) =>
  call<{ uid: string; version: number }>("api/dashboards/db", { json: { dashboard: model, message, overwrite } });

export const star = (uid: string, on: boolean) =>
  call<void>(`api/user/stars/dashboard/uid/${encodeURIComponent(uid)}`, { method: on ? "POST" : "DELETE" });

export interface ServiceStatus {
  name: string;
  url: string;
  healthy: boolean;
  ready: boolean;
  version: string | null;
  error: string | null;
  config_error: string | null;
  details: Record<string, string>;
}

export interface Status {
  services: ServiceStatus[];
  notices: { severity: string; source: string; text: string }[];
  agents: { target: string; unreadable: { what: string; why: string; grant: string }[] }[];
  receivers: { name: string; integrations: number; last_error: string | null }[];
}

export const status = (signal?: AbortSignal) => call<Status>("api/status", { signal });
