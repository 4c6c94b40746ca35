import { expect, it } from "vitest";
import { awayNow, report } from "./away";

it("names who is away until it answers", () => {
  report("prometheus/api/v1/query", 502);
  report("loki/loki/api/v1/labels", 200);
  expect(awayNow()).toEqual(["metrics server"]);
  report("prometheus/api/v1/query", 400);
  expect(awayNow()).toEqual([]);
  report("prometheus/api/v1/query", 0);
  expect(awayNow()).toEqual(["gateway"]);
  report("loki/x", 502);
  expect(awayNow()).toEqual(["log server"]);
  report("loki/x", 200);
  expect(awayNow()).toEqual([]);
});
