// Changes to a dashboard's JSON. What is not understood stays as it was read.

import { ALL_LINES } from "../api/loki";
import type { DashboardModel, PanelModel } from "./model";

export type Json = Record<string, unknown>;

export interface Grid {
  x: number;
  y: number;
  w: number;
  h: number;
}

export const COLUMNS = 24;
const PRESENT_SCHEMA = 39;

/** The JSON that is edited: as read, or, for the rows of old, with panels on the grid. */
export function editable(model: DashboardModel): Json {
  const source = structuredClone(model.source);
  if (Array.isArray(source.panels)) {
    return { ...source, panels: (source.panels as Json[]).map((raw, i) => ({ ...raw, id: model.panels[i]?.id ?? raw.id, gridPos: model.panels[i]?.gridPos ?? raw.gridPos })) };
  }
  const { rows: _rows, ...rest } = source;
  return { ...rest, schemaVersion: PRESENT_SCHEMA, panels: structuredClone(model.panels) as unknown as Json[] };
}

const panelsOf = (source: Json): Json[] => (Array.isArray(source.panels) ? (source.panels as Json[]) : []);

export function updatePanel(source: Json, id: number, change: (panel: Json) => Json): Json {
  return { ...source, panels: panelsOf(source).map((panel) => (panel.id === id ? change(panel) : panel)) };
}

export function removePanel(source: Json, id: number): Json {
  return { ...source, panels: settle(panelsOf(source).filter((panel) => panel.id !== id), -1) };
}

/** A new panel below all others; the changed JSON and the panel's id. */
export function addPanel(source: Json, type: string): [Json, number] {
  const panels = panelsOf(source);
  const id = Math.max(0, ...panels.map((panel) => (typeof panel.id === "number" ? panel.id : 0))) + 1;
  const y = Math.max(0, ...panels.map((panel) => gridOf(panel).y + gridOf(panel).h));
  const logs = type === "logs";
  const panel: Json = {
    id,
    type,
    title: type === "row" ? "New row" : "New panel",
    gridPos: { x: 0, y, w: type === "row" ? COLUMNS : 12, h: type === "row" ? 1 : 8 },
    ...(type === "row" || type === "text" || type === "alertlist"
      ? {}
      : { datasource: { type: logs ? "loki" : "prometheus", uid: logs ? "watchbell-logs" : "watchbell-metrics" }, targets: [{ refId: "A", expr: logs ? ALL_LINES : "up" }] }),
    fieldConfig: { defaults: {}, overrides: [] },
    options: type === "text" ? { mode: "markdown", content: "" } : {},
  };
  return [{ ...source, panels: [...panels, panel] }, id];
}

/** A copy of a panel, below it. */
export function duplicatePanel(source: Json, id: number): Json {
  const original = panelsOf(source).find((panel) => panel.id === id);
  if (!original) return source;
  const next = Math.max(...panelsOf(source).map((panel) => Number(panel.id) || 0)) + 1;
  const grid = gridOf(original);
  const copy = { ...structuredClone(original), id: next, gridPos: { ...grid, y: grid.y + grid.h } };
  return { ...source, panels: settle([...panelsOf(source), copy], next) };
}

/** A panel at another place or size; others make room. */
export function placePanel(source: Json, id: number, grid: Grid): Json {
  const w = clamp(Math.round(grid.w), 2, COLUMNS);
  const next = { w, h: clamp(Math.round(grid.h), 1, 60), x: clamp(Math.round(grid.x), 0, COLUMNS - w), y: Math.max(0, Math.round(grid.y)) };
  const placed = panelsOf(source).map((panel) => (panel.id === id ? { ...panel, gridPos: next } : panel));
  return { ...source, panels: settle(placed, id) };
}

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

export function gridOf(panel: Json | PanelModel): Grid {
  const grid = (panel as { gridPos?: Partial<Grid> }).gridPos ?? {};
  return { x: grid.x ?? 0, y: grid.y ?? 0, w: grid.w ?? 12, h: grid.h ?? 8 };
}

const overlap = (a: Grid, b: Grid) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

/** Panels without overlaps and gaps above them: the one that was moved keeps its place, those in its way go down. */
export function settle(panels: Json[], moved: number): Json[] {
  const order = panels.map((panel, index) => ({ panel, index, grid: gridOf(panel), before: gridOf(panel).y }));
  const first = (id: unknown) => (id === moved ? 0 : 1);
  order.sort((a, b) => a.grid.y - b.grid.y || first(a.panel.id) - first(b.panel.id) || a.grid.x - b.grid.x);
  const movedGrid = order.find((one) => one.panel.id === moved)?.grid;
  // First out of the moved one's way, then everything up as far as it goes.
  for (const one of order) if (movedGrid && one.grid !== movedGrid && overlap(one.grid, movedGrid)) one.grid = { ...one.grid, y: movedGrid.y + movedGrid.h };
  order.sort((a, b) => a.grid.y - b.grid.y || first(a.panel.id) - first(b.panel.id) || a.before - b.before || a.grid.x - b.grid.x);
  const placed: Grid[] = [];
  for (const one of order) {
    const grid = { ...one.grid };
    while (placed.some((other) => overlap(grid, other))) grid.y += 1;
    while (grid.y > 0 && !placed.some((other) => overlap({ ...grid, y: grid.y - 1 }, other))) grid.y -= 1;
    one.grid = grid;
    placed.push(grid);
  }
  const out = [...panels];
  for (const { index, grid } of order) out[index] = { ...panels[index]!, gridPos: grid };
  return out;
}
