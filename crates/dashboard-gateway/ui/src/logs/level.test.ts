import { describe, expect, it } from "vitest";
import { formatMatcher, matches, parseMatchers } from "../api/alertmanager";
import { compareNs, toLines } from "../api/loki";
import { filterPatterns, levelHistogram, levelOf, markMatches } from "./level";

const line = (text: string, labels = {}, fields = {}) => ({ ns: "1795348800000000000", ms: 1_795_348_800_000, text, labels, fields });

describe("levels", () => {
  it.each([
    ['{"level":"error","msg":"x"}', "error"],
    ["level=warn msg=x", "warn"],
    ["2026-11-22 12:00:00 INFO started", "info"],
    ["[FATAL] gone", "critical"],
    ["nothing of the kind: information is not a level here", "unknown"],
    ["terror in the text", "unknown"],
    ["DEBUG: x", "debug"],
  ])("%s is %s", (text, expected) => expect(levelOf(line(text))).toBe(expected));

  it("believes labels and fields before the text", () => {
    expect(levelOf(line("error", { level: "info" }))).toBe("info");
    expect(levelOf(line("x", {}, { detected_level: "ERROR" }))).toBe("error");
  });

  it("counts per bucket and ignores what is outside", () => {
    const buckets = levelHistogram([{ ms: 0, level: "info" }, { ms: 9999, level: "error" }, { ms: 10_000, level: "error" }], 0, 10_000, 10);
    expect(buckets).toHaveLength(10);
    expect([buckets[0]!.counts.info, buckets[9]!.counts.error]).toEqual([1, 1]);
  });
});

describe("marking", () => {
  it("marks literals and regexes of the query", () => {
    const patterns = filterPatterns('{a="b"} |= "a.b" |~ `x+` != "no"');
    expect(patterns).toEqual(["a\\.b", "x+"]);
    expect(markMatches("1 a.b xx", patterns).filter((part) => part.hit).map((part) => part.text)).toEqual(["a.b", "xx"]);
    expect(markMatches("<b>", ["("])).toEqual([{ text: "<b>", hit: false }]);
  });
});

describe("lines", () => {
  it("keeps nanoseconds and orders by them", () => {
    const lines = toLines([{ stream: { a: "b" }, values: [["1795348800000000002", "two", { parsed: { x: "1" } }], ["1795348800000000001", "one"]] }]);
    expect(lines.sort((a, b) => compareNs(a.ns, b.ns)).map((l) => l.text)).toEqual(["one", "two"]);
    expect(lines[1]!.fields).toEqual({ x: "1" });
    expect(lines[0]!.ms).toBe(1_795_348_800_000);
  });
});

describe("matchers", () => {
  it.each([
    ['a="b"', [{ name: "a", value: "b", isRegex: false, isEqual: true }]],
    ['{a=~"b.*", c!=d}', [{ name: "a", value: "b.*", isRegex: true, isEqual: true }, { name: "c", value: "d", isRegex: false, isEqual: false }]],
    ["", []],
    ["a", undefined],
    ['a="b" c', undefined],
  ])("reads %s", (text, expected) => expect(parseMatchers(text)).toEqual(expected));

  it("matches anchored and treats missing as empty", () => {
    const [matcher] = parseMatchers('a=~"b.*"')!;
    expect(matches({ a: "bcd" }, [matcher!])).toBe(true);
    expect(matches({ a: "abcd" }, [matcher!])).toBe(false);
    expect(matches({}, parseMatchers('a!="x"')!)).toBe(true);
    expect(formatMatcher(matcher!)).toBe('a=~"b.*"');
  });
});
