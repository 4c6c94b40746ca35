// Time ranges: what the user typed ("now-1h", an ISO date, epoch ms) and what it means now.

export interface TimeRange {
  /** As in the URL. */
  from: string;
  to: string;
}

export interface ResolvedRange {
  /** Milliseconds since the epoch. */
  from: number;
  to: number;
}

export const DEFAULT_RANGE: TimeRange = { from: "now-1h", to: "now" };

const YOUNG_RANGES: [number, string][] = [
  [300_000, "now-5m"],
  [900_000, "now-15m"],
];

/** Where the URL names no range: the last hour, or less while the data is younger than that. */
export function defaultRange(now: number, firstData: number | undefined): TimeRange {
  const age = firstData === undefined ? Infinity : now - firstData;
  return { from: YOUNG_RANGES.find(([size]) => age <= size)?.[1] ?? DEFAULT_RANGE.from, to: "now" };
}

export const QUICK_RANGES: [string, string][] = [
  ["now-5m", "Last 5 minutes"],
  ["now-15m", "Last 15 minutes"],
  ["now-1h", "Last hour"],
  ["now-3h", "Last 3 hours"],
  ["now-6h", "Last 6 hours"],
  ["now-24h", "Last 24 hours"],
  ["now-2d", "Last 2 days"],
  ["now-7d", "Last 7 days"],
  ["now-30d", "Last 30 days"],
  ["now-90d", "Last 90 days"],
];

export const REFRESH_INTERVALS = ["off", "5s", "10s", "30s", "1m", "5m"];

const UNIT_MS: Record<string, number> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  M: 2_592_000_000,
  y: 31_536_000_000,
};

/** Reads "1h30m" as milliseconds; undefined where it is no duration. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(ms|[smhdwy]))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, number, unit] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) total += Number(number) * (unit === "ms" ? 1 : UNIT_MS[unit!]!);
  return total;
}

/** Reads one end of a range at `now` (ms): "now-1h", "now/d", ISO date, epoch ms. `roundUp` ends a rounded unit instead of starting it. */
export function parseTime(text: string, now: number, roundUp = false): number | undefined {
  const trimmed = text.trim();
  const relative = /^now((?:[+-]\d+[smhdwMy])*)(?:\/([smhdwMy]))?$/.exec(trimmed);
  if (relative) {
    let time = now;
    for (const [, sign, number, unit] of relative[1]!.matchAll(/([+-])(\d+)([smhdwMy])/g)) {
      time += (sign === "-" ? -1 : 1) * Number(number) * UNIT_MS[unit!]!;
    }
    return relative[2] ? roundTo(time, relative[2], roundUp) : time;
  }
  if (/^\d{10,16}$/.test(trimmed)) return trimmed.length <= 10 ? Number(trimmed) * 1000 : Number(trimmed);
  if (/^\d{4}-\d{2}-\d{2}/.test(trimmed)) {
    const time = Date.parse(trimmed.replace(" ", "T"));
    return Number.isNaN(time) ? undefined : time;
  }
  return undefined;
}

function roundTo(time: number, unit: string, up: boolean): number {
  const date = new Date(time);
  if (unit === "y") date.setMonth(0, 1);
  if (unit === "M") date.setDate(1);
  if (unit === "w") date.setDate(date.getDate() - ((date.getDay() + 6) % 7));
  if ("yMwd".includes(unit)) date.setHours(0, 0, 0, 0);
  if (unit === "h") date.setMinutes(0, 0, 0);
  if (unit === "m") date.setSeconds(0, 0);
  if (unit === "s") date.setMilliseconds(0);
  if (!up) return date.getTime();
  if (unit === "y") date.setFullYear(date.getFullYear() + 1);
  else if (unit === "M") date.setMonth(date.getMonth() + 1);
  else date.setTime(date.getTime() + UNIT_MS[unit]!);
  return date.getTime() - 1;
}

export function resolve(range: TimeRange, now: number): ResolvedRange {
  const to = parseTime(range.to, now, true) ?? now;
  const from = parseTime(range.from, now) ?? to - 3_600_000;
  return from < to ? { from, to } : { from: to - 60_000, to };
}

/** Half a range to the left or right; becomes absolute. */
export function shift(range: ResolvedRange, direction: -1 | 1): TimeRange {
  const by = ((range.to - range.from) / 2) * direction;
  return { from: String(Math.round(range.from + by)), to: String(Math.round(range.to + by)) };
}

export function zoomOut(range: ResolvedRange): TimeRange {
  const by = (range.to - range.from) / 2;
  return { from: String(Math.round(range.from - by)), to: String(Math.round(range.to + by)) };
}

const NICE_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/** The query step in seconds for a chart of `width` pixels: about one point every two pixels, at least `min`. */
export function stepFor(range: ResolvedRange, width: number, min = 5): number {
  const wanted = (range.to - range.from) / 1000 / Math.max(50, width / 2);
  const step = NICE_STEPS.find((nice) => nice >= wanted) ?? Math.ceil(wanted / 86_400) * 86_400;
  return Math.max(step, min);
}

/** The shortest form of a range for the picker's button. */
export function describe(range: TimeRange, zone: string | undefined): string {
  const quick = QUICK_RANGES.find(([from]) => range.from === from && range.to === "now");
  if (quick) return quick[1];
  const show = (text: string) => (/^\d+$/.test(text) ? formatTime(Number(text), zone) : text);
  return `${show(range.from)} to ${show(range.to)}`;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** A time in a zone (undefined: the browser's), to the second or, with `withMs`, to the millisecond. */
export function formatTime(ms: number, zone: string | undefined, withMs = false): string {
  if (!Number.isFinite(ms)) return "–";
  const key = zone ?? "";
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat("sv-SE", {
      timeZone: zone,
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    formats.set(key, format);
  }
  const text = format.format(ms);
  return withMs ? `${text}.${String(Math.floor(((ms % 1000) + 1000) % 1000)).padStart(3, "0")}` : text;
}

/** The short name of a zone at a time: "UTC", "GMT+2". */
export function zoneName(zone: string | undefined, ms: number): string {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "short" }).formatToParts(ms);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? zone ?? "";
}

/** "3 m ago", "in 1 h 59 m". */
export function ago(ms: number, now: number): string {
  const seconds = Math.round((now - ms) / 1000);
  const text = span(Math.abs(seconds));
  return seconds >= 0 ? `${text} ago` : `in ${text}`;
}

/** Whole units, and the next smaller one where the first are few. */
function span(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  const [size, unit, smaller, name] = seconds < 3600 ? [60, "m", 1, ""] : seconds < 86_400 ? [3600, "h", 60, "m"] : [86_400, "d", 3600, "h"];
  const whole = Math.floor(seconds / size);
  const rest = Math.floor((seconds % size) / smaller);
  return name !== "" && whole < 4 && rest > 0 ? `${whole} ${unit} ${rest} ${name}` : `${whole} ${unit}`;
}
