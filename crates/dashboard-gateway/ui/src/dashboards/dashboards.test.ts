import { describe, expect, it } from "vitest";
import { fieldFor, mapValue, readDashboard, reduce, sourceKind, thresholdColor } from "./model";
import { ALL, inOrder, interpolate, valueOf, type Scope } from "./variables";

const scope = (over: Partial<Scope> = {}): Scope => ({ variables: [], values: {}, options: {}, builtins: {}, ...over });

describe("variables in queries", () => {
  const multi = { name: "host", type: "query", multi: true, includeAll: true };
  it.each([
    ["one value is not wrapped", { host: ["a.b"] }, 'up{instance=~"$host"}', 'up{instance=~"a\\\\.b"}'],
    ["several become an alternation", { host: ["a", "b"] }, "${host}", "(a|b)"],
    ["a format overrides", { host: ["a", "b"] }, "${host:csv} [[host:pipe]]", "a,b a|b"],
    ["an unknown variable stays", {}, "$nope ${nope}", "$nope ${nope}"],
    ["all becomes all options", { host: [ALL] }, "$host", "(x|y)"],
  ])("%s", (_name, values, text, expected) =>
    expect(interpolate(text, scope({ variables: [multi], values: values as Record<string, string[]>, options: { host: [ALL, "x", "y"] } }), "prometheus")).toBe(expected),
  );

  it("joins without parentheses for Loki and keeps single values as they are", () => {
    expect(interpolate("$host", scope({ variables: [multi], values: { host: ["a", "b"] } }), "loki")).toBe("a|b");
    expect(interpolate("$x", scope({ variables: [{ name: "x", type: "textbox" }], values: { x: [".*"] } }), "loki")).toBe(".*");
    expect(interpolate("[$__interval]", scope({ builtins: { __interval: "30s" } }), "prometheus")).toBe("[30s]");
  });

  it("orders variables by what they refer to, circles included", () => {
    const variables = [
      { name: "c", type: "query", query: "label_values(up{b=\"$b\"}, c)" },
      { name: "b", type: "query", query: "label_values(up{a=\"$a\"}, b)" },
      { name: "a", type: "query", query: "label_values(a)" },
      { name: "x", type: "query", query: "$y" },
      { name: "y", type: "query", query: "$x" },
    ];
    const names = inOrder(variables).map((variable) => variable.name);
    expect(names.indexOf("a")).toBeLessThan(names.indexOf("b"));
    expect(names.indexOf("b")).toBeLessThan(names.indexOf("c"));
    expect(names).toHaveLength(5);
  });

  it("takes a value from the URL, then as saved, then the first", () => {
    expect(valueOf(multi, ["z"], ["a"])).toEqual(["z"]);
    expect(valueOf({ ...multi, current: { value: ["b"] } }, [], ["a", "b"])).toEqual(["b"]);
    expect(valueOf({ ...multi, current: { value: "gone" } }, [], ["a", "b"])).toEqual(["a"]);
  });
});

describe("reading dashboards", () => {
  it("brings rows, graphs and single stats of 2017 to the grid", () => {
    const model = readDashboard({
      title: "Docker",
      schemaVersion: 12,
      rows: [
        { height: "250px", panels: [{ type: "singlestat", span: 4, format: "bytes", valueName: "current", targets: [{ expr: "x" }] }, { type: "graph", span: 8, stack: true, y_formats: ["percent", "short"], legend: { show: true, avg: true, current: true, alignAsTable: true } }] },
        { height: 200, title: "More", showTitle: true, panels: [{ type: "graph", span: 12 }] },
      ],
    });
    expect(model.panels.map((panel) => [panel.type, panel.gridPos.x, panel.gridPos.y, panel.gridPos.w, panel.gridPos.h])).toEqual([
      ["stat", 0, 0, 8, 7],
      ["timeseries", 8, 0, 16, 7],
      ["row", 0, 7, 24, 1],
      ["timeseries", 0, 8, 24, 6],
    ]);
    expect(model.panels[1]!.fieldConfig.defaults.unit).toBe("percent");
    expect(model.panels[1]!.options.legend).toMatchObject({ calcs: ["avg", "current"], displayMode: "table" });
    expect(model.panels[0]!.options.reduceOptions).toEqual({ calcs: ["lastNotNull"] });
  });

  it("survives what is not a dashboard", () => {
    for (const junk of [null, 5, "x", [], { panels: "no" }, { panels: [null, 5, { gridPos: "x", targets: 3, fieldConfig: [] }] }]) {
      expect(() => readDashboard(junk)).not.toThrow();
    }
  });

  it("names what it cannot draw", () => {
    expect(readDashboard({ panels: [{ type: "geomap" }, { type: "stat" }] }).unsupported).toEqual(["geomap"]);
  });

  it("finds the data source", () => {
    expect(sourceKind({ type: "loki", uid: "x" })).toBe("loki");
    expect(sourceKind("${ds}", { ds: ["watchbell-logs"] })).toBe("loki");
    expect(sourceKind(null)).toBe("prometheus");
  });
});

describe("values", () => {
  it.each([
    ["lastNotNull", 3],
    ["mean", 2],
    ["max", 3],
    ["count", 3],
    ["range", 2],
    ["median", 2],
    ["delta", 2],
  ])("%s", (calc, expected) => expect(reduce([null, 1, 2, 3, null], calc)).toBe(expected));

  it("colours by thresholds, absolute and in percent", () => {
    const steps = [{ value: null, color: "green" }, { value: 80, color: "red" }];
    expect(thresholdColor(79, { thresholds: { steps } })).toBe("green");
    expect(thresholdColor(9, { max: 10, thresholds: { mode: "percentage", steps } })).toBe("red");
    expect(thresholdColor(null, { thresholds: { steps } })).toBeUndefined();
  });

  it("maps values in new and old forms", () => {
    expect(mapValue(1, [{ type: "value", options: { "1": { text: "Up", color: "green" } } }])).toEqual({ text: "Up", color: "green" });
    expect(mapValue(5, [{ type: "range", options: { from: 1, to: 9, result: { text: "some" } } }])?.text).toBe("some");
    expect(mapValue(null, [{ type: "special", options: { match: "null", result: { text: "N/A" } } }])?.text).toBe("N/A");
    expect(mapValue(1, [{ type: 1, value: "1", text: "old" }])?.text).toBe("old");
  });

  it("lets overrides win by name and by regex", () => {
    const panel = readDashboard({
      panels: [{ type: "timeseries", fieldConfig: { defaults: { unit: "bytes" }, overrides: [{ matcher: { id: "byRegexp", options: "/rx.*/" }, properties: [{ id: "unit", value: "Bps" }, { id: "custom.transform", value: "negative-Y" }] }] } }],
    }).panels[0]!;
    expect(fieldFor(panel, "rx eth0")).toMatchObject({ unit: "Bps", custom: { transform: "negative-Y" } });
    expect(fieldFor(panel, "tx").unit).toBe("bytes");
  });
});
