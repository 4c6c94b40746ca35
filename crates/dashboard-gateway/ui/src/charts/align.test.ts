import { describe, expect, it } from "vitest";
import { alignSeries, stack, summarize } from "./align";
import { stylesFor, cssColor } from "../format/colors";
import { applyLegend, nameSeries } from "../format/legend";

const series = (times: number[], values: number[]) => ({ labels: {}, times, values });

describe("aligning", () => {
  it("puts series on one axis and leaves gaps empty", () => {
    expect(alignSeries([series([1, 3], [10, 30]), series([2, 3], [200, 300])])).toEqual([
      [1, 2, 3],
      [10, null, 30],
      [null, 200, 300],
    ]);
  });

  it("breaks the line where a step is missing", () => {
    expect(alignSeries([series([0, 10, 40], [1, 2, 3])], 10)).toEqual([
      [0, 10, 20, 40],
      [1, 2, null, 3],
    ]);
  });

  it("does not draw NaN and infinity", () => {
    expect(alignSeries([series([1, 2], [Number.NaN, Number.POSITIVE_INFINITY])])[1]).toEqual([null, null]);
  });

  it("sums up", () => {
    expect(summarize([null, 1, 3, null])).toEqual({ last: 3, avg: 2, min: 1, max: 3, total: 4, count: 2 });
    expect(summarize([null])).toMatchObject({ last: null, avg: null });
    expect(stack([[1, null], [2, 5]])).toEqual([[1, null], [3, 5]]);
  });
});

describe("names and colours", () => {
  it("keeps a name's colour whatever stands beside it, as long as it is free", () => {
    const alone = stylesFor(["nginx"], true)[0];
    expect(stylesFor(["nginx", "api", "db"], true)[0]).toEqual(alone);
    const many = stylesFor(Array.from({ length: 12 }, (_, i) => `s${i}`), true);
    expect(new Set(many.slice(0, 10).map((style) => style.color)).size).toBe(10);
    expect(many[11]!.dash.length).toBeGreaterThan(0);
  });

  it("takes colours only in known forms", () => {
    expect(cssColor("semi-dark-green")).toBe("#3DBE8B");
    expect(cssColor("#fff")).toBe("#fff");
    expect(cssColor("url(javascript:alert(1))")).toBeUndefined();
    expect(cssColor("red;background:url(x)")).toBeUndefined();
  });

  it("fills legends", () => {
    expect(applyLegend("{{ name }} on {{host}}{{gone}}", { name: "a", host: "b" })).toBe("a on b");
    expect(nameSeries([{ a: "1", b: "x" }, { a: "2", b: "x" }], "__auto")).toEqual(["1", "2"]);
    expect(nameSeries([{ __name__: "up", a: "1" }], undefined)).toEqual(['up{a="1"}']);
  });
});
