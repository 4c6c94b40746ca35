import { describe, expect, it } from "vitest";
import { fold, prettyJson, statistics, toRows } from "./rows";
import { linePieces } from "./line-text";
import { firstAt, offsetsOf } from "./virtual";

const line = (text: string, ns: number, fields = {}) => ({ ns: String(1_795_348_800_000_000_000n + BigInt(ns)), ms: 1_795_348_800_000, text, labels: { a: "b" }, fields });

describe("rows", () => {
  it("have keys of their own, even for the same line at the same time", () => {
    const rows = toRows([line("x", 0), line("x", 0), line("y", 0)]);
    expect(new Set(rows.map((row) => row.key)).size).toBe(3);
  });

  it.each([
    ["none", [1, 1, 1, 1]],
    ["exact", [2, 1, 1]],
    ["numbers", [3, 1]],
  ] as const)("fold %s", (how, expected) => {
    const rows = toRows([line("took 1 ms", 0), line("took 1 ms", 1), line("took 22 ms", 2), line("done", 3)]);
    expect(fold(rows, how).map((row) => row.count)).toEqual(expected);
  });

  it("counts values", () => {
    const stats = statistics([line("", 0, { s: "200" }), line("", 1, { s: "200" }), line("", 2, { s: "500" }), line("", 3)], "s");
    expect(stats).toMatchObject({ withField: 3, distinct: 2 });
    expect(stats.values.map((one) => [one.value, one.count])).toEqual([["200", 2], ["500", 1]]);
  });

  it("spreads JSON only", () => {
    expect(prettyJson('\u001b[31m{"a":1}\u001b[0m')).toBe('{\n  "a": 1\n}');
    expect(prettyJson("{no")).toBeUndefined();
  });
});

describe("pieces of a line", () => {
  it("keep matches and colours apart, over each other's borders", () => {
    expect(linePieces("a\u001b[31mbc\u001b[0md", ["bcd"]).map((piece) => [piece.text, piece.hit, piece.style])).toEqual([
      ["a", false, undefined],
      ["bc", true, "sgr-1"],
      ["d", true, undefined],
    ]);
  });
});

describe("rows of differing height", () => {
  it("finds the row at an offset", () => {
    const offsets = offsetsOf(["a", "b", "c"], new Map([["b", 100]]), 20);
    expect([...offsets]).toEqual([0, 20, 120, 140]);
    expect([0, 19, 20, 119, 120, 999].map((top) => firstAt(offsets, top))).toEqual([0, 0, 1, 1, 2, 2]);
  });
});
