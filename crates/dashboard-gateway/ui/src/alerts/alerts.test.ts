import { describe, expect, it } from "vitest";
import type { Alert } from "../api/alertmanager";
import { acksInForce } from "../api/watchbell-alerts";
import { marksOf } from "../charts/alert-marks";
import { comparison, grouped, toRows } from "./rows";
import { routeSection } from "./route-text";

const alert = (fingerprint: string, over: Partial<Alert["status"]> = {}): Alert => ({
  fingerprint,
  labels: { alertname: fingerprint },
  annotations: {},
  startsAt: "2026-11-22T12:00:00Z",
  endsAt: "",
  updatedAt: "",
  generatorURL: "",
  receivers: [{ name: "ops" }],
  status: { state: "active", silencedBy: [], inhibitedBy: [], ...over },
});

describe("rows of alerts", () => {
  const groups = [
    { name: "g", file: "f", interval: 1, rules: [{ type: "alerting" as const, name: "B", query: "b > 1", health: "ok", alerts: [{ labels: { alertname: "B" }, annotations: {}, state: "pending" as const, activeAt: "2026-11-22T12:00:00Z", value: "1" }] }] },
  ];
  it("firing first, silenced last, pending between", () => {
    const rows = toRows([alert("S", { silencedBy: ["x"] }), alert("A")], groups);
    expect(rows.map((row) => row.state)).toEqual(["firing", "pending", "silenced"]);
    const found = grouped(rows, [{ labels: {}, receiver: { name: "ops" }, alerts: [alert("A"), alert("S")] }]);
    expect(found.map((group) => [group.receiver, group.rows.length])).toEqual([["ops", 2], ["", 1]]);
  });

  it.each([
    ["a / b > 0.9", { left: "a / b", threshold: 0.9 }],
    ["up == 0", { left: "up", threshold: 0 }],
    ["a > 1 and b > 2", { left: "a > 1 and b > 2" }],
    ["sum(a > 1)", { left: "sum(a > 1)" }],
  ])("%s", (query, expected) => expect(comparison(query)).toEqual(expected));
});

it("an acknowledgement ends with its time, its removal, its alert", () => {
  const ack = (fingerprint: string, at: number, expires: number) => ({ type: "acknowledged", fingerprint, at: at * 1e6, owner: "eve", comment: "", expires_at: expires * 1e6 });
  const events = [ack("a", 1, 100), ack("b", 1, 5), ack("c", 1, 100), { type: "alert_resolved", fingerprint: "c", at: 2e6 }, ack("d", 3, 100), { type: "alert_firing", fingerprint: "d", at: 1e6 }];
  expect([...acksInForce(events, 10).keys()].sort()).toEqual(["a", "d"]);
});

it("marks where alerts begin and end, not where the range does", () => {
  const colors = { start: "red", end: "green" };
  const marks = marksOf([{ labels: { alertname: "A", instance: "x" }, times: [100, 110, 120, 200, 210] }], 10, 50, 215, colors);
  expect(marks.map((mark) => [mark.time, mark.text])).toEqual([[200, "A x fires"], [130, "A x ends"], [100, "A x fires"]]);
});

it("finds the routes in a configuration", () => {
  expect(routeSection("global: {}\nroute:\n  receiver: a\n  routes:\n  - receiver: b\nreceivers:\n- name: a\n")).toBe("route:\n  receiver: a\n  routes:\n  - receiver: b");
  expect(routeSection("receivers: []")).toBeUndefined();
});
