import { describe, expect, it } from "vitest";
import { explainRows } from "./explain";
import { metricNames, nearest } from "./metric-names";
import { withFilter } from "./log-query";
import { guessUnit } from "./units";

describe("metrics of a query", () => {
  it.each([
    ["up", ["up"]],
    ['sum by (name, instance) (rate(container_cpu_usage_seconds_total{name!="x"}[5m])) / on (instance) group_left node_cpu:cores', ["container_cpu_usage_seconds_total", "node_cpu:cores"]],
    ["1 + 2e3", []],
    ['label_replace(up, "a", "$1 b", "c", "d") and bool_metric # not this', ["up", "bool_metric"]],
    ["histogram_quantile(0.9, sum(rate(x_bucket[1m])) by (le)) offset 5m", ["x_bucket"]],
  ])("%s", (query, expected) => expect(metricNames(query)).toEqual(expected));

  it("finds the name that was meant", () => {
    const known = ["container_memory_usage_bytes", "container_memory_working_set_bytes", "up"];
    expect(nearest("container_memory_usage_byte", known)).toBe("container_memory_usage_bytes");
    expect(nearest("nothing_like_it", known)).toBeUndefined();
  });

  it.each([
    ["container_memory_usage_bytes", "bytes"],
    ["rate(node_network_receive_bytes_total[1m])", "Bps"],
    ["sum(up)", "short"],
  ])("%s is in %s", (query, unit) => expect(guessUnit({ type: "vector", series: [], warnings: [], infos: [] }, query.includes("{") || query.includes("[") ? query : `${query}{}`)).toBe(unit));
});

describe("what parts of a query took", () => {
  const cost = (seconds: number, ownSeconds: number) => ({ evaluations: 1, seconds, ownSeconds, series: 2, samples: 3, samplesRead: 4, ownSamplesRead: 4 });
  const part = { name: "", text: null, constant: false, children: [] };
  it("is a row for each, with its share", () => {
    const rows = explainRows({
      ...part,
      kind: "operator",
      name: "/",
      text: "sum(m) / vector(1)",
      cost: cost(4, 1),
      children: [
        { ...part, kind: "aggregation", name: "sum", text: "sum(m)", cost: cost(3, 3), children: [{ ...part, kind: "selector", text: "m" }] },
        { ...part, kind: "function", name: "vector", constant: true, cost: cost(0, 0) },
      ],
    });
    expect(rows.map((row) => [row.depth, row.title, row.share, row.note])).toEqual([
      [0, "operator /", 0.25, ""],
      [1, "aggregation sum", 0.75, ""],
      [2, "selector", 0, "with the part above"],
      [1, "function vector", 0, "once, as it is the same at every step"],
    ]);
  });
});

describe("filters in a log query", () => {
  const filter = { name: "a", value: 'x"y', out: false, isLabel: true };
  it.each([
    ['{b="c"} |= "z"', filter, '{b="c", a="x\\"y"} |= "z"'],
    ["{}", { ...filter, out: true }, '{a!="x\\"y"}'],
    ['{b="}"} | json', filter, '{b="}", a="x\\"y"} | json'],
    ['{b="c"} | json', { ...filter, isLabel: false, value: "1" }, '{b="c"} | json | a="1"'],
    ['sum(count_over_time({b="c"} | json [1m]))', { ...filter, isLabel: false, value: "1" }, 'sum(count_over_time({b="c"} | json | a="1" [1m]))'],
  ])("%s", (query, one, expected) => expect(withFilter(query, one)).toBe(expected));
});
