import { describe, expect, it } from "vitest";
import { diffLines, hunks } from "./diff";
import { addPanel, duplicatePanel, editable, gridOf, placePanel, removePanel, type Json } from "./edit";
import { readDashboard } from "./model";

const dashboard = (): Json => ({
  title: "t",
  custom: { kept: true },
  panels: [
    { id: 1, type: "stat", gridPos: { x: 0, y: 0, w: 12, h: 4 }, unknownField: 7 },
    { id: 2, type: "stat", gridPos: { x: 12, y: 0, w: 12, h: 4 } },
    { id: 3, type: "stat", gridPos: { x: 0, y: 4, w: 24, h: 4 } },
  ],
});
const grids = (source: Json) => Object.fromEntries((source.panels as Json[]).map((panel) => [panel.id, Object.values(gridOf(panel)).join(" ")]));

describe("the grid", () => {
  it("makes room for what is moved", () => {
    expect(grids(placePanel(dashboard(), 3, { x: 0, y: 0, w: 24, h: 4 }))).toEqual({ 1: "0 4 12 4", 2: "12 4 12 4", 3: "0 0 24 4" });
    expect(grids(placePanel(dashboard(), 1, { x: 0, y: 0, w: 24, h: 4 }))).toEqual({ 1: "0 0 24 4", 2: "12 4 12 4", 3: "0 8 24 4" });
  });

  it("keeps within its columns and closes gaps", () => {
    expect(grids(placePanel(dashboard(), 2, { x: 40, y: -3, w: 99, h: 0 }))[2]).toBe("0 0 24 1");
    expect(grids(removePanel(dashboard(), 1))).toEqual({ 2: "12 0 12 4", 3: "0 4 24 4" });
  });

  it("never leaves two panels on one another", () => {
    let source = dashboard();
    for (let i = 0; i < 60; i += 1) {
      source = placePanel(source, (i % 3) + 1, { x: (i * 7) % 24, y: (i * 5) % 9, w: 3 + ((i * 11) % 20), h: 1 + (i % 6) });
      const all = (source.panels as Json[]).map(gridOf);
      all.forEach((a, m) => all.forEach((b, n) => expect(m === n || a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y).toBe(true)));
    }
  });
});

describe("editing", () => {
  it("keeps what it does not understand", () => {
    const source = editable(readDashboard(dashboard()));
    expect(source.custom).toEqual({ kept: true });
    expect((source.panels as Json[])[0]!.unknownField).toBe(7);
  });

  it("brings rows of old to the grid", () => {
    const source = editable(readDashboard({ rows: [{ panels: [{ type: "graph", span: 6, targets: [{ expr: "x" }] }] }] }));
    expect(source.rows).toBeUndefined();
    expect((source.panels as Json[])[0]).toMatchObject({ type: "timeseries", gridPos: { x: 0, w: 12 } });
  });

  it("adds below, copies below", () => {
    const [source, id] = addPanel(dashboard(), "timeseries");
    expect([id, grids(source)[id]]).toEqual([4, "0 8 12 8"]);
    expect(grids(duplicatePanel(dashboard(), 3))[4]).toBe("0 8 24 4");
  });
});

describe("differences", () => {
  it.each([
    ["a\nb\nc", "a\nx\nc", [" a", "-b", "+x", " c"]],
    ["a", "a", [" a"]],
    ["a\nb", "a\nb\nc", [" a", " b", "+c"]],
    ["a\nb\nc\nd", "b\nd", ["-a", " b", "-c", " d"]],
  ])("%j to %j", (before, after, expected) =>
    expect(diffLines(before, after).map((line) => ({ same: " ", added: "+", removed: "-" })[line.kind] + line.text)).toEqual(expected),
  );

  it("shows only what is near", () => {
    const before = Array.from({ length: 30 }, (_, i) => `line ${i}`);
    const after = before.map((line, i) => (i === 15 ? "changed" : line));
    const shown = hunks(diffLines(before.join("\n"), after.join("\n")), 2);
    expect(shown.length).toBe(8);
    expect([shown[0], shown[shown.length - 1]]).toEqual([null, null]);
  });
});
