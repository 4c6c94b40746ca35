// Grafana's dashboard JSON, as far as panels here use it, with old forms brought to the present one.

export interface Target {
  refId?: string;
  expr?: string;
  legendFormat?: string;
  format?: string;
  instant?: boolean;
  range?: boolean;
  queryType?: string;
  maxLines?: number;
  interval?: string;
  hide?: boolean;
  datasource?: unknown;
}

export interface ThresholdStep {
  value: number | null;
  color: string;
}

export interface FieldDefaults {
  unit?: string;
  decimals?: number | null;
  min?: number;
  max?: number;
  noValue?: string;
  displayName?: string;
  color?: { mode?: string; fixedColor?: string };
  thresholds?: { mode?: string; steps?: ThresholdStep[] };
  mappings?: unknown[];
  custom?: Record<string, unknown>;
}

export interface Override {
  matcher: { id: string; options: unknown };
  properties: { id: string; value: unknown }[];
}

export interface PanelModel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  datasource?: unknown;
  targets: Target[];
  options: Record<string, unknown>;
  fieldConfig: { defaults: FieldDefaults; overrides: Override[] };
  collapsed?: boolean;
  panels?: PanelModel[];
  repeat?: string;
  transparent?: boolean;
  /** Values that variables have in this panel alone (repeats). */
  scoped?: Record<string, string>;
}

export interface VariableModel {
  name: string;
  label?: string;
  type: string;
  hide?: number;
  query?: unknown;
  definition?: string;
  datasource?: unknown;
  regex?: string;
  multi?: boolean;
  includeAll?: boolean;
  allValue?: string | null;
  current?: { value?: unknown; text?: unknown };
  options?: { value: string; text: string }[];
  sort?: number;
  auto?: boolean;
  auto_count?: number;
  auto_min?: string;
}

export interface DashboardModel {
  uid: string;
  title: string;
  description?: string;
  tags: string[];
  time?: { from: string; to: string };
  refresh?: string | false;
  panels: PanelModel[];
  variables: VariableModel[];
  /** Panel types that cannot be drawn; their query results are shown as a table. */
  unsupported: string[];
  /** What was read, untouched, for saving. */
  source: Record<string, unknown>;
}

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);
const object = (value: unknown): Json => (isObject(value) ? value : {});
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);
const text = (value: unknown, fallback = ""): string => (typeof value === "string" ? value : fallback);
const number = (value: unknown): number | undefined => (typeof value === "number" && Number.isFinite(value) ? value : undefined);

export const SUPPORTED = new Set(["timeseries", "stat", "gauge", "bargauge", "table", "logs", "text", "row", "piechart", "state-timeline", "status-history", "heatmap", "alertlist", "barchart"]);

const ALIASES: Record<string, string> = { graph: "timeseries", singlestat: "stat", "table-old": "table", "grafana-piechart-panel": "piechart", "flant-statusmap-panel": "status-history" };

/** Reads a dashboard; accepts the API's wrapper and inputs of exports (`${DS_…}`). */
export function readDashboard(raw: unknown): DashboardModel {
  const wrapped = object(raw);
  const source = isObject(wrapped.dashboard) ? wrapped.dashboard : wrapped;
  const panels = Array.isArray(source.rows) && !Array.isArray(source.panels) ? panelsOfRows(list(source.rows)) : list(source.panels);
  const read = panels.map(readPanel);
  const time = object(source.time);
  return {
    uid: text(source.uid),
    title: text(source.title, "Untitled"),
    description: text(source.description) || undefined,
    tags: Array.isArray(source.tags) ? source.tags.filter((tag): tag is string => typeof tag === "string") : [],
    time: time.from && time.to ? { from: text(time.from, "now-1h"), to: text(time.to, "now") } : undefined,
    refresh: typeof source.refresh === "string" ? source.refresh : false,
    panels: read,
    variables: list(object(source.templating).list).map((variable) => ({ ...variable, name: text(variable.name), type: text(variable.type) })) as VariableModel[],
    unsupported: [...new Set(read.flatMap((panel) => [panel, ...(panel.panels ?? [])]).map((panel) => panel.type))].filter((type) => !SUPPORTED.has(type)),
    source,
  };
}

/** Dashboards before version 16 have rows of panels that span 1 to 12 columns: onto the grid of 24. */
function panelsOfRows(rows: Json[]): Json[] {
  const out: Json[] = [];
  let y = 0;
  for (const row of rows) {
    const height = Math.ceil((typeof row.height === "string" ? parseInt(row.height, 10) : (number(row.height) ?? 250)) / 38) || 7;
    const titled = row.showTitle === true || row.collapse === true || typeof row.repeat === "string";
    const children: Json[] = [];
    let x = 0;
    let top = titled ? y + 1 : y;
    for (const panel of list(row.panels)) {
      const w = Math.min(24, Math.round((number(panel.span) ?? 4) * 2));
      if (x + w > 24) {
        x = 0;
        top += height;
      }
      children.push({ ...panel, gridPos: { x, y: top, w, h: height } });
      x += w;
    }
    if (titled) {
      const collapsed = row.collapse === true;
      out.push({ type: "row", title: text(row.title), collapsed, repeat: row.repeat, panels: collapsed ? children : [], gridPos: { x: 0, y, w: 24, h: 1 } });
    }
    if (!titled || row.collapse !== true) out.push(...children);
    y = top + height;
  }
  return out;
}

function readPanel(raw: Json, index: number): PanelModel {
  const grid = object(raw.gridPos);
  const type = text(raw.type, "timeseries");
  const panel: PanelModel = {
    id: number(raw.id) ?? index + 10_000,
    type: ALIASES[type] ?? type,
    title: text(raw.title),
    description: text(raw.description) || undefined,
    gridPos: { x: clamp(number(grid.x) ?? 0, 0, 23), y: number(grid.y) ?? 0, w: clamp(number(grid.w) ?? 12, 1, 24), h: clamp(number(grid.h) ?? 8, 1, 60) },
    datasource: raw.datasource,
    targets: list(raw.targets) as Target[],
    options: object(raw.options),
    fieldConfig: {
      defaults: object(object(raw.fieldConfig).defaults) as FieldDefaults,
      overrides: list(object(raw.fieldConfig).overrides).filter((override) => isObject(override.matcher) && Array.isArray(override.properties)) as unknown as Override[],
    },
    collapsed: raw.collapsed === true,
    panels: list(raw.panels).map(readPanel),
    repeat: text(raw.repeat) || undefined,
    transparent: raw.transparent === true,
  };
  if (type === "graph") migrateGraph(raw, panel);
  if (type === "singlestat") migrateSingleStat(raw, panel);
  if (type === "text" && panel.options.content === undefined) panel.options = { mode: text(raw.mode, "markdown"), content: text(raw.content) };
  return panel;
}

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

function migrateGraph(raw: Json, panel: PanelModel) {
  const yaxes = list(raw.yaxes);
  const formats = Array.isArray(raw.y_formats) ? raw.y_formats : [];
  const left = yaxes[0] ?? {};
  const legend = object(raw.legend);
  const calcs = (["avg", "current", "min", "max", "total"] as const).filter((calc) => legend[calc] === true);
  const defaults = panel.fieldConfig.defaults;
  defaults.unit = text(left.format) || text(formats[0]) || undefined;
  defaults.decimals = number(raw.decimals);
  if (left.min !== null && left.min !== undefined) defaults.min = Number(left.min);
  if (left.max !== null && left.max !== undefined) defaults.max = Number(left.max);
  defaults.custom = {
    drawStyle: raw.bars === true ? "bars" : raw.lines === false && raw.points === true ? "points" : "line",
    lineWidth: number(raw.linewidth) ?? 1,
    fillOpacity: (number(raw.fill) ?? 1) * 10,
    stacking: { mode: raw.stack === true ? "normal" : "none" },
    spanNulls: raw.nullPointMode === "connected",
    lineInterpolation: raw.steppedLine === true ? "stepAfter" : "linear",
  };
  panel.options = {
    legend: { showLegend: legend.show !== false, displayMode: legend.alignAsTable === true ? "table" : "list", placement: legend.rightSide === true ? "right" : "bottom", calcs },
  };
  const steps = list(raw.thresholds).filter((threshold) => number(threshold.value) !== undefined);
  if (steps.length > 0) {
    defaults.thresholds = { mode: "absolute", steps: steps.map((step) => ({ value: number(step.value)!, color: "red" })) };
    defaults.custom.thresholdsStyle = { mode: "line" };
  }
  panel.fieldConfig.overrides = list(raw.seriesOverrides).map((override) => {
    const alias = text(override.alias);
    const regex = alias.startsWith("/");
    const properties: Override["properties"] = [];
    if (typeof override.color === "string") properties.push({ id: "color", value: { mode: "fixed", fixedColor: override.color } });
    if (override.transform === "negative-Y") properties.push({ id: "custom.transform", value: "negative-Y" });
    if (typeof override.fill === "number") properties.push({ id: "custom.fillOpacity", value: override.fill * 10 });
    if (override.stack === true) properties.push({ id: "custom.stacking", value: { mode: "normal" } });
    if (override.bars === true) properties.push({ id: "custom.drawStyle", value: "bars" });
    return { matcher: { id: regex ? "byRegexp" : "byName", options: alias }, properties };
  });
}

const SINGLE_STAT_CALC: Record<string, string> = { avg: "mean", current: "lastNotNull", total: "sum", min: "min", max: "max", first: "first", delta: "delta", diff: "diff", range: "range", name: "lastNotNull" };

function migrateSingleStat(raw: Json, panel: PanelModel) {
  const gauge = object(raw.gauge).show === true;
  panel.type = gauge ? "gauge" : "stat";
  const defaults = panel.fieldConfig.defaults;
  defaults.unit = text(raw.format) || undefined;
  defaults.decimals = number(raw.decimals);
  if (gauge) {
    defaults.min = number(object(raw.gauge).minValue) ?? 0;
    defaults.max = number(object(raw.gauge).maxValue) ?? 100;
  }
  const values = text(raw.thresholds).split(",").filter((value) => value.trim() !== "").map(Number);
  const colors = Array.isArray(raw.colors) ? raw.colors.map((color) => text(color)) : [];
  if (colors.length > 0) defaults.thresholds = { mode: "absolute", steps: colors.slice(0, values.length + 1).map((color, i) => ({ value: i === 0 ? null : values[i - 1]!, color })) };
  panel.options = {
    reduceOptions: { calcs: [SINGLE_STAT_CALC[text(raw.valueName, "avg")] ?? "mean"] },
    colorMode: raw.colorBackground === true ? "background" : raw.colorValue === true ? "value" : "none",
    graphMode: object(raw.sparkline).show === true ? "area" : "none",
    prefix: text(raw.prefix),
    postfix: text(raw.postfix),
  };
}

/** The data source that a reference means. */
export function sourceKind(reference: unknown, variables: Record<string, string[]> = {}): "prometheus" | "loki" {
  let name = "";
  if (typeof reference === "string") name = reference;
  else if (isObject(reference)) {
    if (reference.type === "loki") return "loki";
    if (reference.type === "prometheus") return "prometheus";
    name = text(reference.uid);
  }
  const variable = /^\$\{?(\w+)\}?$/.exec(name)?.[1];
  if (variable) name = variables[variable]?.[0] ?? variable;
  return /loki|log/i.test(name) ? "loki" : "prometheus";
}

/** A panel's settings for one series: defaults with the overrides that match its name. */
export function fieldFor(panel: PanelModel, name: string, refId?: string): FieldDefaults & { custom: Record<string, unknown> } {
  const field = { ...panel.fieldConfig.defaults, custom: { ...panel.fieldConfig.defaults.custom } };
  for (const { matcher, properties } of panel.fieldConfig.overrides) {
    if (!matchesField(matcher, name, refId)) continue;
    for (const { id, value } of properties) {
      if (id.startsWith("custom.")) field.custom[id.slice(7)] = value;
      else (field as Record<string, unknown>)[id] = value;
    }
  }
  return field;
}

function matchesField(matcher: Override["matcher"], name: string, refId?: string): boolean {
  const { id, options } = matcher;
  if (id === "byName") return options === name;
  if (id === "byRegexp" && typeof options === "string") {
    const match = /^\/(.*)\/([a-z]*)$/.exec(options);
    try {
      return new RegExp(match?.[1] ?? options, match?.[2]?.replace("g", "")).test(name);
    } catch {
      return false;
    }
  }
  if (id === "byFrameRefID") return options === refId;
  if (id === "byNames") return list([options]).some((set) => Array.isArray(set.names) && set.names.includes(name) === (set.mode !== "exclude"));
  return false;
}

/** Values reduced to one, by Grafana's reducer ids. */
export function reduce(values: (number | null)[], calc: string): number | null {
  const known = values.filter((value): value is number => value !== null && !Number.isNaN(value));
  const first = known[0] ?? null;
  const last = known[known.length - 1] ?? null;
  if (calc === "count") return known.length;
  if (first === null || last === null) return null;
  const sum = known.reduce((a, b) => a + b, 0);
  switch (calc) {
    case "first":
    case "firstNotNull":
      return first;
    case "min":
      return Math.min(...known);
    case "max":
      return Math.max(...known);
    case "mean":
    case "avg":
      return sum / known.length;
    case "sum":
    case "total":
      return sum;
    case "range":
      return Math.max(...known) - Math.min(...known);
    case "diff":
      return last - first;
    case "delta":
      return known.reduce((total, value, i) => (i > 0 && value > known[i - 1]! ? total + value - known[i - 1]! : total), 0);
    case "median": {
      const sorted = [...known].sort((a, b) => a - b);
      const middle = Math.floor(sorted.length / 2);
      return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
    }
    default:
      return last;
  }
}

/** The colour of a value by thresholds. */
export function thresholdColor(value: number | null, field: FieldDefaults): string | undefined {
  const steps = field.thresholds?.steps;
  if (!steps || value === null) return undefined;
  const span = (field.max ?? 100) - (field.min ?? 0);
  const position = field.thresholds?.mode === "percentage" ? ((value - (field.min ?? 0)) / (span || 1)) * 100 : value;
  let color: string | undefined;
  for (const step of steps) if (step.value === null || position >= step.value) color = step.color;
  return color;
}

interface Mapped {
  text?: string;
  color?: string;
}

/** What value mappings make of a value; new and old forms. */
export function mapValue(value: number | null, mappings: unknown[] | undefined): Mapped | undefined {
  for (const raw of list(mappings)) {
    const options = raw.options;
    if (raw.type === "value" && isObject(options)) {
      const hit = options[String(value)];
      if (isObject(hit)) return mapped(hit);
    } else if (raw.type === "range" && isObject(options) && value !== null) {
      if (value >= (number(options.from) ?? -Infinity) && value <= (number(options.to) ?? Infinity)) return mapped(object(options.result));
    } else if (raw.type === "special" && isObject(options)) {
      const isNan = value !== null && Number.isNaN(value);
      const hit = { null: value === null, nan: isNan, "null+nan": value === null || isNan, true: value === 1, false: value === 0, empty: false }[text(options.match)];
      if (hit) return mapped(object(options.result));
    } else if (raw.type === 1 && text(raw.value) === String(value)) {
      return { text: text(raw.text) };
    } else if (raw.type === 2 && value !== null && value >= Number(raw.from) && value <= Number(raw.to)) {
      return { text: text(raw.text) };
    }
  }
  return undefined;
}

function mapped(result: Json): Mapped {
  return { text: typeof result.text === "string" ? result.text : undefined, color: typeof result.color === "string" ? result.color : undefined };
}
