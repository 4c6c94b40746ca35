// Text that others wrote: characters that would act on the page (direction, controls, escapes) are named instead, colours of terminals become ours.

/** One piece of a text: as it is, or the name of a character that is not let through. */
export interface Piece {
  text: string;
  /** Set where `text` is the name of a hidden character, such as "U+202E". */
  control?: boolean;
  /** Classes for the terminal colours in force, such as "sgr-1 sgr-bold". */
  style?: string;
}

/** Bidirectional controls, invisible characters, C0 and C1 controls but tab and line feed, line separators, language tags. */
const ACTING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/;
const ACTING_ALL = new RegExp(ACTING.source, "g");
/** A terminal's "select graphic rendition". */
const SGR = /\u001b\[([0-9;:]*)m/g;

/** "U+202E" for a character. */
export function codePointName(char: string): string {
  return `U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** A text for places that take no markup (titles, canvas, names): what acts stands as ⟨U+202E⟩. */
export function visible(text: string): string {
  if (!ACTING.test(text)) return text;
  return text.replace(/\r\n/g, "\n").replace(ACTING_ALL, (char) => `⟨${codePointName(char)}⟩`);
}

/** A text in pieces: what acts is named and set apart. */
export function pieces(text: string, style?: string): Piece[] {
  if (!ACTING.test(text)) return text === "" ? [] : [{ text, style }];
  const out: Piece[] = [];
  const clean = text.replace(/\r\n/g, "\n").replace(/\r$/, "");
  let at = 0;
  for (const match of clean.matchAll(ACTING_ALL)) {
    if (match.index > at) out.push({ text: clean.slice(at, match.index), style });
    out.push({ text: codePointName(match[0]), control: true, style });
    at = match.index + match[0].length;
  }
  if (at < clean.length) out.push({ text: clean.slice(at), style });
  return out;
}

/** The text of a log line without its terminal colours: what is searched, marked and read as JSON. */
export function stripColours(text: string): string {
  return text.includes("\u001b[") ? text.replace(SGR, "") : text;
}

export interface ColourRun {
  /** Offset in the text without colours. */
  start: number;
  end: number;
  style?: string;
}

/** Which parts of the stripped text have which terminal colours. */
export function colourRuns(text: string): ColourRun[] {
  const runs: ColourRun[] = [];
  let state: Sgr = {};
  let read = 0;
  let written = 0;
  const push = (length: number) => {
    if (length > 0) runs.push({ start: written, end: written + length, style: styleOf(state) });
    written += length;
  };
  for (const match of text.matchAll(SGR)) {
    push(match.index - read);
    state = applySgr(state, match[1]!);
    read = match.index + match[0].length;
  }
  push(text.length - read);
  return runs;
}

interface Sgr {
  /** 0 to 7 as terminals number them. */
  colour?: number;
  bold?: boolean;
  dim?: boolean;
  italic?: boolean;
  underline?: boolean;
}

function styleOf(state: Sgr): string | undefined {
  const classes = [
    state.colour !== undefined && `sgr-${state.colour}`,
    state.bold && "sgr-bold",
    state.dim && "sgr-dim",
    state.italic && "sgr-italic",
    state.underline && "sgr-underline",
  ].filter(Boolean);
  return classes.length > 0 ? classes.join(" ") : undefined;
}

/** Background, blinking and hiding are left out: they would make lines unreadable. */
function applySgr(state: Sgr, codes: string): Sgr {
  let next = { ...state };
  const numbers = codes.split(/[;:]/).map(Number);
  for (let i = 0; i < numbers.length; i += 1) {
    const code = numbers[i]!;
    if (code === 0) next = {};
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 22) next = { ...next, bold: false, dim: false };
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code >= 30 && code <= 37) next.colour = code - 30;
    else if (code >= 90 && code <= 97) next.colour = code - 90;
    else if (code === 39) delete next.colour;
    else if (code === 38 || code === 48) {
      // 5;N is one of 256, 2;R;G;B any colour: the first sixteen are ours, others stay plain.
      const indexed = numbers[i + 1] === 5;
      const index = numbers[i + 2] ?? 16;
      if (code === 38 && indexed && index < 16) next.colour = index % 8;
      i += indexed ? 2 : 4;
    }
  }
  return next;
}
