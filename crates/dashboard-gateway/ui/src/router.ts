// The URL is the state: page, queries, time, variables. Back works because every change is a history entry.

import { useCallback, useSyncExternalStore } from "react";

/** The gateway's prefix, with a trailing slash, from the page's <base href>. */
export const basePath = new URL(document.baseURI).pathname.replace(/[^/]*$/, "");

export interface Location {
  /** The page's path without the prefix, such as "explore" or "d/abc". */
  path: string;
  params: URLSearchParams;
}

const listeners = new Set<() => void>();
let current = read();

function read(): Location {
  const path = window.location.pathname.slice(basePath.length).replace(/^\/+|\/+$/g, "");
  return { path, params: new URLSearchParams(window.location.search) };
}

function changed() {
  current = read();
  listeners.forEach((listener) => listener());
}

window.addEventListener("popstate", changed);

export function href(path: string, params?: URLSearchParams | Record<string, string>): string {
  const search = params ? new URLSearchParams(params).toString() : "";
  return basePath + path.replace(/^\/+/, "") + (search ? `?${search}` : "");
}

/** Goes to a page; the time range stays unless `params` sets one. */
export function navigate(path: string, params: Record<string, string> = {}, replace = false) {
  const next = new URLSearchParams(params);
  for (const key of ["from", "to", "tz", "refresh"]) {
    const value = current.params.get(key);
    if (value !== null && !next.has(key)) next.set(key, value);
  }
  go(href(path, next), replace);
}

/** Sets (or, with null, removes) parameters of the present page. */
export function setParams(changes: Record<string, string | string[] | null>, replace = false) {
  const next = new URLSearchParams(current.params);
  for (const [key, value] of Object.entries(changes)) {
    next.delete(key);
    for (const one of value === null ? [] : Array.isArray(value) ? value : [value]) next.append(key, one);
  }
  go(href(current.path, next), replace);
}

function go(url: string, replace: boolean) {
  if (url === window.location.pathname + window.location.search) return;
  window.history[replace ? "replaceState" : "pushState"](null, "", url);
  changed();
}

export function useLocation(): Location {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}

/** One URL parameter and a way to set it. */
export function useParam(name: string, fallback: string): [string, (value: string | null, replace?: boolean) => void] {
  const { params } = useLocation();
  const set = useCallback(
    (value: string | null, replace = false) => setParams({ [name]: value === fallback ? null : value }, replace),
    [name, fallback],
  );
  return [params.get(name) ?? fallback, set];
}
