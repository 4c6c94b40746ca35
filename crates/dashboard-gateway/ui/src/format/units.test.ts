import { describe, expect, it } from "vitest";
import { duration, formatValue } from "./units";

describe("units", () => {
  it.each([
    [1.5 * 1024 ** 3, "bytes", "1.5 GiB"],
    [3_200_000, "Bps", "3.2 MB/s"],
    [0, "bytes", "0 B"],
    [1023, "bytes", "1023 B"],
    [0.256, "percentunit", "25.6 %"],
    [12.345, "percent", "12.3 %"],
    [1.2345, "cores", "123 %"],
    [123_456, "short", "123 K"],
    [0.000_012, "s", "12 µs"],
    [80, "s", "1m 20s"],
    [90_061, "s", "1d 1h"],
    [0.35, "s", "350 ms"],
    [1, "bool_yes_no", "Yes"],
    [-2048, "bytes", "-2 KiB"],
    [5, "wombat", "5 wombat"],
    [5, "suffix:%%", "5 %%"],
    [Number.NaN, "bytes", "NaN"],
    [Number.POSITIVE_INFINITY, "s", "+∞"],
  ])("%s in %s is %s", (value, unit, expected) => expect(formatValue(value, unit)).toBe(expected));

  it("shows a missing value as a dash and keeps asked decimals", () => {
    expect(formatValue(null)).toBe("–");
    expect(formatValue(1.5, "none", 3)).toBe("1.500");
    expect(duration(0)).toBe("0 s");
  });
});
