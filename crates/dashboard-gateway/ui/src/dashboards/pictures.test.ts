import { describe, expect, it } from "vitest";
import { heatRows, strength } from "./heat";
import { runsOf } from "./state-timeline";

describe("heat maps", () => {
  it("take cumulative buckets apart, lowest first", () => {
    const rows = heatRows([
      { name: "b", le: "+Inf", values: [10, null] },
      { name: "a", le: "0.5", values: [4, 1] },
    ]);
    expect(rows).toEqual([
      { name: "0.5", values: [4, 1] },
      { name: "+Inf", values: [6, null] },
    ]);
  });
  it("leave what has no buckets", () => expect(heatRows([{ name: "x", le: undefined, values: [1] }])).toEqual([{ name: "x", values: [1] }]));
  it("colour by share", () => expect([strength(null, 1), strength(0, 1), strength(1, 1)]).toEqual([0, 0, 1]));
});

it("runs of states end at holes and changes", () => {
  const runs = runsOf([0, 10, 20, 50, 60], [1, 1, 0, 0, 0], 10, 65, String);
  expect(runs).toEqual([
    { from: 0, to: 20, value: 1 },
    { from: 20, to: 30, value: 0 },
    { from: 50, to: 65, value: 0 },
  ]);
});
