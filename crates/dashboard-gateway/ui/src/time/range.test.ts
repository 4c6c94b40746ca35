import { describe, expect, it } from "vitest";
import { ago, defaultRange, formatTime, parseDuration, parseTime, resolve, shift, stepFor, zoomOut } from "./range";

const NOW = Date.UTC(2026, 10, 22, 12, 34, 56, 789);

describe("times", () => {
  it.each([
    ["now", NOW],
    ["now-1h", NOW - 3_600_000],
    ["now-1d-2h", NOW - 26 * 3_600_000],
    ["now+5m", NOW + 300_000],
    ["1795348800000", 1_795_348_800_000],
    ["1795348800", 1_795_348_800_000],
    ["2026-11-22T12:00:00Z", 1_795_348_800_000],
    ["2026-11-22 12:00:00Z", 1_795_348_800_000],
  ])("reads %s", (text, expected) => expect(parseTime(text, NOW)).toBe(expected));

  it.each(["", "later", "now-", "now-1x", "12", "2026-99-99T00:00:00Z", "now-1h; drop"])("refuses %s", (text) =>
    expect(parseTime(text, NOW)).toBeUndefined(),
  );

  it("rounds to a unit, up for the end", () => {
    expect(parseTime("now/h", NOW)).toBe(Date.UTC(2026, 10, 22, 12));
    expect(parseTime("now/h", NOW, true)).toBe(Date.UTC(2026, 10, 22, 13) - 1);
  });

  it("never yields an empty or reversed range", () => {
    const { from, to } = resolve({ from: "now", to: "now-1h" }, NOW);
    expect(to).toBeGreaterThan(from);
    expect(resolve({ from: "junk", to: "junk" }, NOW)).toEqual({ from: NOW - 3_600_000, to: NOW });
  });

  it.each([
    [undefined, "now-1h"],
    [NOW - 1000, "now-5m"],
    [NOW - 300_000, "now-5m"],
    [NOW - 301_000, "now-15m"],
    [NOW - 901_000, "now-1h"],
    [NOW - 86_400_000, "now-1h"],
  ])("a range that the data since %s fills", (first, expected) => expect(defaultRange(NOW, first)).toEqual({ from: expected, to: "now" }));

  it("shifts by half and zooms to double", () => {
    expect(shift({ from: 1000, to: 3000 }, -1)).toEqual({ from: "0", to: "2000" });
    expect(zoomOut({ from: 1000, to: 3000 })).toEqual({ from: "0", to: "4000" });
  });
});

describe("steps and durations", () => {
  it("keeps to nice steps and the minimum", () => {
    expect(stepFor({ from: 0, to: 3_600_000 }, 600)).toBe(15);
    expect(stepFor({ from: 0, to: 300_000 }, 600)).toBe(5);
    expect(stepFor({ from: 0, to: 90 * 86_400_000 }, 600)).toBe(43_200);
  });

  it.each([
    ["5s", 5000],
    ["1h30m", 5_400_000],
    ["10ms", 10],
    ["", undefined],
    ["5", undefined],
    ["1.5h", undefined],
  ])("reads the duration %s", (text, expected) => expect(parseDuration(text)).toBe(expected));

  it("formats in a zone", () => {
    expect(formatTime(NOW, "UTC", true)).toBe("2026-11-22 12:34:56.789");
    expect(ago(NOW - 125_000, NOW)).toBe("2 m ago");
    expect(ago(NOW + 7_199_000, NOW)).toBe("in 1 h 59 m");
    expect(ago(NOW - 10 * 3_600_000 - 120_000, NOW)).toBe("10 h ago");
    expect(ago(NOW - 26 * 3_600_000, NOW)).toBe("1 d 2 h ago");
  });
});
