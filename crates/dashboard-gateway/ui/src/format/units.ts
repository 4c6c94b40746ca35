// Numbers with units: Grafana's unit ids, three significant digits, trailing zeros dropped.

const IEC = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DECIMAL_BYTES = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Up to three significant digits (or `decimals`), without trailing zeros and without an exponent for everyday sizes. */
export function significant(value: number, decimals?: number | null): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "+∞" : "−∞";
  if (decimals !== undefined && decimals !== null) return value.toFixed(decimals);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) return value.toExponential(2);
  if (size >= 1000) return String(Math.round(value));
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : Math.min(6, 2 - Math.floor(Math.log10(size || 1)));
  return String(Number(value.toFixed(digits)));
}

function scaled(value: number, base: number, names: string[], suffix = "", decimals?: number | null): string {
  let size = Math.abs(value);
  let index = 0;
  while (size >= base && index + 1 < names.length) {
    size /= base;
    index += 1;
  }
  return `${significant(Math.sign(value) * size, decimals)} ${names[index]}${suffix}`;
}

/** Seconds as "1m 20s", "350 ms", "2d 3h". */
export function duration(seconds: number, decimals?: number | null): string {
  const size = Math.abs(seconds);
  const sign = seconds < 0 ? "−" : "";
  if (!Number.isFinite(seconds)) return significant(seconds);
  if (size === 0) return "0 s";
  if (size < 1e-6) return `${sign}${significant(size * 1e9, decimals)} ns`;
  if (size < 1e-3) return `${sign}${significant(size * 1e6, decimals)} µs`;
  if (size < 1) return `${sign}${significant(size * 1e3, decimals)} ms`;
  if (size < 60) return `${sign}${significant(size, decimals)} s`;
  const whole = Math.round(size);
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor((whole % 86_400) / 3600), "h"],
    [Math.floor((whole % 3600) / 60), "m"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([number]) => number > 0);
  const shown = parts.slice(first, first + 2).filter(([number]) => number > 0);
  return sign + shown.map(([number, unit]) => `${number}${unit}`).join(" ");
}

type Formatter = (value: number, decimals?: number | null) => string;

const shortNames = ["", "K", "Mil", "Bil", "Tri"];
const count = (suffix: string): Formatter => (value, decimals) => scaled(value, 1000, ["", "k", "M", "G", "T"], suffix, decimals).replace(/ (?=$)/, "");
const iec = (power: number, suffix = ""): Formatter => (value, decimals) => scaled(value * 1024 ** power, 1024, IEC, suffix, decimals);
const decimal = (power: number, suffix = ""): Formatter => (value, decimals) => scaled(value * 1000 ** power, 1000, DECIMAL_BYTES, suffix, decimals);
const bits = (power: number, suffix: string): Formatter => (value, decimals) =>
  scaled(value * 1000 ** power, 1000, ["b", "kb", "Mb", "Gb", "Tb"], suffix, decimals);
const after = (suffix: string): Formatter => (value, decimals) => significant(value, decimals) + suffix;

const FORMATTERS: Record<string, Formatter> = {
  none: significant,
  "": significant,
  string: significant,
  short: (value, decimals) => scaled(value, 1000, shortNames, "", decimals).trimEnd(),
  percent: after(" %"),
  percentunit: (value, decimals) => `${significant(value * 100, decimals)} %`,
  bytes: iec(0),
  kbytes: iec(1),
  mbytes: iec(2),
  gbytes: iec(3),
  decbytes: decimal(0),
  deckbytes: decimal(1),
  decmbytes: decimal(2),
  decgbytes: decimal(3),
  bits: bits(0, ""),
  decbits: bits(0, ""),
  Bps: decimal(0, "/s"),
  binBps: iec(0, "/s"),
  bps: bits(0, "/s"),
  binbps: bits(0, "/s"),
  KBs: decimal(1, "/s"),
  MBs: decimal(2, "/s"),
  GBs: decimal(3, "/s"),
  KiBs: iec(1, "/s"),
  MiBs: iec(2, "/s"),
  pps: count(" p/s"),
  iops: count(" io/s"),
  ops: count(" ops/s"),
  reqps: count(" req/s"),
  rps: count(" rd/s"),
  wps: count(" wr/s"),
  cps: count(" c/s"),
  eps: count(" evt/s"),
  ns: (value, decimals) => duration(value / 1e9, decimals),
  "µs": (value, decimals) => duration(value / 1e6, decimals),
  ms: (value, decimals) => duration(value / 1e3, decimals),
  s: duration,
  m: (value, decimals) => duration(value * 60, decimals),
  h: (value, decimals) => duration(value * 3600, decimals),
  d: (value, decimals) => duration(value * 86_400, decimals),
  dtdurations: duration,
  dtdurationms: (value, decimals) => duration(value / 1e3, decimals),
  hertz: (value, decimals) => scaled(value, 1000, ["Hz", "kHz", "MHz", "GHz"], "", decimals),
  celsius: after(" °C"),
  fahrenheit: after(" °F"),
  kelvin: after(" K"),
  watt: after(" W"),
  volt: after(" V"),
  amp: after(" A"),
  rotrpm: after(" rpm"),
  humidity: after(" %H"),
  dB: after(" dB"),
  hex: (value) => Math.round(value).toString(16).toUpperCase(),
  hex0x: (value) => `0x${Math.round(value).toString(16).toUpperCase()}`,
  sci: (value, decimals) => value.toExponential(decimals ?? 2),
  locale: (value) => value.toLocaleString(),
  bool: (value) => (value ? "true" : "false"),
  bool_yes_no: (value) => (value ? "Yes" : "No"),
  bool_on_off: (value) => (value ? "On" : "Off"),
  dateTimeAsIso: (value) => new Date(value).toISOString().replace("T", " ").slice(0, 19),
  // CPU as the charts of the Home page show it: percent of one core.
  cores: (value, decimals) => `${significant(value * 100, decimals)} %`,
};

/** Writes `value` in a unit; a unit that is not known is appended as it is. */
export function formatValue(value: number | null | undefined, unit = "", decimals?: number | null): string {
  if (value === null || value === undefined) return "–";
  if (Number.isNaN(value)) return "NaN";
  const known = FORMATTERS[unit];
  if (known) return known(value, decimals);
  const custom = /^(suffix|prefix|si|count):(.*)$/.exec(unit);
  if (custom?.[1] === "prefix") return custom[2]! + significant(value, decimals);
  if (custom) return `${significant(value, decimals)} ${custom[2]}`;
  return `${significant(value, decimals)} ${unit}`;
}
