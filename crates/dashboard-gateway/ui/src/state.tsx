// What the whole page shares: session, theme, time range, refresh, zone.

import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { meansAway } from "./api/away";
import { ApiError } from "./api/http";
import type { Session } from "./api/gateway";
import { tsdbStatus } from "./api/prometheus";
import { setParams, useLocation } from "./router";
import { defaultRange, parseDuration, resolve, zoomOut, type ResolvedRange, type TimeRange } from "./time/range";

export type Theme = "dark" | "light";

interface Shared {
  session: Session;
  theme: Theme;
  setTheme: (theme: Theme | "system") => void;
  range: TimeRange;
  resolved: ResolvedRange;
  setRange: (range: TimeRange) => void;
  zoomOut: () => void;
  zone: string | undefined;
  setZone: (zone: string | undefined) => void;
  refresh: string;
  setRefresh: (refresh: string) => void;
  /** Grows at every refresh: queries depend on it. */
  tick: number;
  reload: () => void;
  /** The server's clock, ms. */
  now: () => number;
  clockSkewMs: number;
}

const SharedContext = createContext<Shared | undefined>(undefined);

export function useShared(): Shared {
  const shared = useContext(SharedContext);
  if (!shared) throw new Error("used outside of the page's frame");
  return shared;
}

function systemTheme(): Theme {
  return window.matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
}

export function useTheme(): [Theme, (theme: Theme | "system") => void] {
  const [chosen, setChosen] = useState<string>(() => localStorage.getItem("theme") ?? "system");
  const [system, setSystem] = useState<Theme>(systemTheme);
  useEffect(() => {
    const media = window.matchMedia("(prefers-color-scheme: light)");
    const update = () => setSystem(systemTheme());
    media.addEventListener("change", update);
    return () => media.removeEventListener("change", update);
  }, []);
  const theme: Theme = chosen === "dark" || chosen === "light" ? chosen : system;
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  const set = useCallback((next: Theme | "system") => {
    localStorage.setItem("theme", next);
    setChosen(next);
  }, []);
  return [theme, set];
}

export function SharedProvider(props: { session: Session; theme: Theme; setTheme: Shared["setTheme"]; children: ReactNode }) {
  const { params } = useLocation();
  const [tick, setTick] = useState(0);
  const skew = useRef(Date.now() - props.session.now_ms);
  const now = useCallback(() => Date.now() - skew.current, []);
  const first = useFirstData(params.get("from") === null);
  const fallback = defaultRange(now(), first === "asking" ? undefined : first);
  const from = params.get("from") ?? fallback.from;
  const to = params.get("to") ?? fallback.to;
  const refresh = params.get("refresh") ?? "10s";
  const zoneParam = params.get("tz");
  const zone = zoneParam && isZone(zoneParam) ? zoneParam : undefined;
  const reload = useCallback(() => setTick((value) => value + 1), []);

  useEffect(() => {
    const interval = parseDuration(refresh);
    if (!interval) return undefined;
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") reload();
    }, Math.max(1000, interval));
    return () => clearInterval(timer);
  }, [refresh, reload]);

  // The range is resolved anew at every refresh, not at every render.
  const resolved = useMemo(() => resolve({ from, to }, now()), [from, to, tick, now]);

  const value = useMemo<Shared>(
    () => ({
      session: props.session,
      theme: props.theme,
      setTheme: props.setTheme,
      range: { from, to },
      resolved,
      setRange: (range) => setParams({ from: range.from, to: range.to }),
      zoomOut: () => {
        const wider = zoomOut(resolved);
        setParams({ from: wider.from, to: wider.to });
      },
      zone,
      setZone: (next) => setParams({ tz: next ?? null }, true),
      refresh,
      setRefresh: (next) => setParams({ refresh: next }, true),
      tick,
      reload,
      now,
      clockSkewMs: skew.current,
    }),
    [props.session, props.theme, props.setTheme, from, to, resolved, zone, refresh, tick, reload, now],
  );
  return <SharedContext.Provider value={value}>{first === "asking" ? null : props.children}</SharedContext.Provider>;
}

/** How long the first picture waits for the age of the data. */
const FIRST_DATA_WAIT_MS = 700;

/** When the oldest samples at hand were taken, ms: so that a young install's first picture is not a sliver. */
function useFirstData(wanted: boolean): number | undefined | "asking" {
  const [first, setFirst] = useState<number | undefined | "asking">(wanted ? "asking" : undefined);
  useEffect(() => {
    if (first !== "asking") return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => setFirst(undefined), FIRST_DATA_WAIT_MS);
    tsdbStatus(1, abort.signal)
      .then(({ headStats }) => setFirst(headStats.numSeries > 0 ? headStats.minTime : undefined))
      .catch(() => setFirst(undefined))
      .finally(() => clearTimeout(timer));
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
    // Asked once, when the page is opened.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  return first;
}

function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

export interface Loaded<T> {
  data: T | undefined;
  error: Error | undefined;
  /** True while there is nothing to show yet; a refresh keeps the old picture. */
  loading: boolean;
  /** True while any request is under way. */
  busy: boolean;
}

/** Loads and keeps the last good answer while the next one is under way. `key` says when what is asked for is another thing. */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>, deps: readonly unknown[] = [], enabled = true): Loaded<T> {
  const [state, setState] = useState<{ key: string; data?: T; error?: Error; busy: boolean }>({ key: "", busy: true });
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    if (!enabled) return undefined;
    const abort = new AbortController();
    setState((old) => (old.key === key ? { ...old, busy: true } : { key, busy: true }));
    latest.current(abort.signal).then(
      (data) => {
        if (!abort.signal.aborted) setState({ key, data, busy: false });
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        const shown = error instanceof Error ? error : new Error(String(error));
        // Where the server is away the old picture stays: the banner says so.
        const away = shown instanceof ApiError && meansAway(shown.status);
        setState((old) => (away && old.data !== undefined ? { ...old, busy: false } : { key, error: shown, busy: false }));
      },
    );
    return () => abort.abort();
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key, enabled, ...deps]);
  const current = state.key === key ? state : { busy: true };
  const { data, error, busy } = current as { data?: T; error?: Error; busy: boolean };
  return { data, error, busy: enabled && busy, loading: enabled && data === undefined && error === undefined };
}

/** Whether an element is, or was, in view: panels outside do not query. */
export function useVisible<E extends Element>(): [React.RefObject<E | null>, boolean] {
  const ref = useRef<E>(null);
  const [visible, setVisible] = useState(false);
  useEffect(() => {
    if (!ref.current) return undefined;
    const observer = new IntersectionObserver((entries) => setVisible(entries.some((entry) => entry.isIntersecting)), { rootMargin: "200px" });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, visible];
}

/** An element's width in px, kept up to date. */
export function useWidth<E extends Element>(ref: React.RefObject<E | null>): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!ref.current) return undefined;
    const observer = new ResizeObserver((entries) => setWidth(Math.floor(entries[0]?.contentRect.width ?? 0)));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, [ref]);
  return width;
}
