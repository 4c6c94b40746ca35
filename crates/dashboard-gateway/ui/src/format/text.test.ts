import { describe, expect, it } from "vitest";
import { colourRuns, pieces, stripColours, visible } from "./text";

describe("text of strangers", () => {
  it.each([
    ["plain text\twith a tab\nand lines", "plain text\twith a tab\nand lines"],
    ["a\u202eb", "a⟨U+202E⟩b"],
    ["\u2066x\u2069", "⟨U+2066⟩x⟨U+2069⟩"],
    ["\u200e\u200f\u061c", "⟨U+200E⟩⟨U+200F⟩⟨U+061C⟩"],
    ["bell\u0007 nul\u0000", "bell⟨U+0007⟩ nul⟨U+0000⟩"],
    ["\u001b]0;title\u0007", "⟨U+001B⟩]0;title⟨U+0007⟩"],
    ["c1 \u009b31m", "c1 ⟨U+009B⟩31m"],
    ["zero\u200bwidth\ufeff", "zero⟨U+200B⟩width⟨U+FEFF⟩"],
    ["tag \u{e0041}", "tag ⟨U+E0041⟩"],
    ["family 👨\u200d👩 stays", "family 👨\u200d👩 stays"],
    ["line\r\nend", "line\nend"],
  ])("%j is shown as %j", (text, expected) => expect(visible(text)).toBe(expected));

  it("names each acting character apart from what surrounds it", () => {
    expect(pieces("a\u202eb", "s")).toEqual([
      { text: "a", style: "s" },
      { text: "U+202E", control: true, style: "s" },
      { text: "b", style: "s" },
    ]);
    expect(pieces("")).toEqual([]);
    expect(pieces("windows\r")).toEqual([{ text: "windows", style: undefined }]);
  });

  it("lets no acting character of any plane of direction through", () => {
    for (const code of [...range(0x202a, 0x202e), ...range(0x2066, 0x2069), 0x200e, 0x200f, 0x061c, ...range(0, 8), ...range(0x0b, 0x1f), ...range(0x7f, 0x9f)]) {
      const char = String.fromCodePoint(code);
      expect(pieces(`x${char}y`).some((piece) => piece.text.includes(char))).toBe(false);
    }
  });
});

describe("terminal colours", () => {
  it.each([
    ["\u001b[31mred\u001b[0m plain", "red plain", [["red", "sgr-1"], [" plain", undefined]]],
    ["\u001b[1;32mok\u001b[22mthin", "okthin", [["ok", "sgr-2 sgr-bold"], ["thin", "sgr-2"]]],
    ["\u001b[38;5;9mx\u001b[38;2;1;2;3my\u001b[39mz", "xyz", [["x", "sgr-1"], ["y", "sgr-1"], ["z", undefined]]],
    ["\u001b[48;5;1mx\u001b[mend", "xend", [["x", undefined], ["end", undefined]]],
    ["none", "none", [["none", undefined]]],
  ])("%j", (text, stripped, expected) => {
    expect(stripColours(text)).toBe(stripped);
    expect(colourRuns(text).map((run) => [stripped.slice(run.start, run.end), run.style])).toEqual(expected);
  });

  it("shows every other escape", () => expect(visible(stripColours("\u001b[2J\u001b[31mx"))).toBe("⟨U+001B⟩[2Jx"));
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
