// The text of a line: what matches is marked, terminal colours are the theme's, hidden characters are named.

import { colourRuns, pieces, stripColours, type Piece } from "../format/text";
import { ControlMark } from "../parts/shown";
import { markMatches } from "./level";

export interface LinePiece extends Piece {
  hit: boolean;
}

/** Longer lines are cut in the list; details show them whole. */
const LIST_CHARS_MAX = 4000;

/** A line cut where its colours or its matches begin and end. */
export function linePieces(text: string, patterns: string[]): LinePiece[] {
  const plain = stripColours(text);
  const runs = plain.length === text.length ? [{ start: 0, end: plain.length, style: undefined }] : colourRuns(text);
  const out: LinePiece[] = [];
  let at = 0;
  let run = 0;
  for (const part of markMatches(plain, patterns)) {
    const end = at + part.text.length;
    while (at < end) {
      while (run + 1 < runs.length && runs[run]!.end <= at) run += 1;
      const stop = Math.min(end, Math.max(at + 1, runs[run]?.end ?? end));
      for (const piece of pieces(plain.slice(at, stop), runs[run]?.style)) out.push({ ...piece, hit: part.hit });
      at = stop;
    }
  }
  return out;
}

export function LineText(props: { text: string; patterns: string[]; whole?: boolean }) {
  const long = !props.whole && props.text.length > LIST_CHARS_MAX;
  const shown = long ? props.text.slice(0, LIST_CHARS_MAX) : props.text;
  return (
    <>
      {linePieces(shown, props.patterns).map((piece, i) => {
        if (piece.control) return <ControlMark key={i} name={piece.text} />;
        if (piece.hit) return <mark key={i} className={piece.style}>{piece.text}</mark>;
        return piece.style ? <span key={i} className={piece.style}>{piece.text}</span> : piece.text;
      })}
      {long && <span className="muted"> … {props.text.length - LIST_CHARS_MAX} more characters</span>}
    </>
  );
}
