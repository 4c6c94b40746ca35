// Series colours: a name keeps its colour on all panels and over reloads.

export const DARK = ["#5B9BFF", "#F5A623", "#3DBE8B", "#E06C9F", "#B48CF2", "#4CC9E0", "#D9C34A", "#FF7A59", "#9CCC65", "#A9B4C2"];
export const LIGHT = ["#1F6FEB", "#B45F06", "#0B7A55", "#B83280", "#7C4DCC", "#0E7490", "#806600", "#C7421A", "#4F7A1E", "#566373"];

/** A stable number for a name (FNV-1a). */
export function nameHash(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}

export interface SeriesStyle {
  color: string;
  /** Canvas dash pattern; none for the first ten. */
  dash: number[];
}

/** Styles for names in order: each starts at the colour its name hashes to and takes the next free one. */
export function stylesFor(names: string[], dark: boolean): SeriesStyle[] {
  const palette = dark ? DARK : LIGHT;
  const used = new Map<number, number>();
  return names.map((name) => {
    let slot = nameHash(name) % palette.length;
    const lowest = Math.min(...palette.map((_, idx) => used.get(idx) ?? 0));
    while ((used.get(slot) ?? 0) > lowest) slot = (slot + 1) % palette.length;
    const round = used.get(slot) ?? 0;
    used.set(slot, round + 1);
    return { color: palette[slot]!, dash: round === 0 ? [] : round === 1 ? [6, 4] : [2, 3] };
  });
}

const NAMED: Record<string, string> = {
  green: "#3DBE8B",
  red: "#FF6B5E",
  yellow: "#D9C34A",
  orange: "#F5A623",
  blue: "#5B9BFF",
  purple: "#B48CF2",
  white: "#ffffff",
  black: "#000000",
  transparent: "transparent",
  text: "currentColor",
};

/** Grafana's colour names ("semi-dark-green"), hex and rgb() as CSS; anything else, which may be hostile, is left out. */
export function cssColor(name: string | undefined): string | undefined {
  if (!name) return undefined;
  if (/^#[0-9a-fA-F]{3,8}$/.test(name) || /^rgba?\([\d.,\s%]+\)$/.test(name)) return name;
  const base = name.replace(/^(super-light|light|semi-dark|dark)-/, "");
  return NAMED[base];
}

/** Dark or white text, whichever reads better on a colour. */
export function textOn(color: string): string {
  const hex = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(color);
  if (!hex) return "#0f1216";
  const [red, green, blue] = hex.slice(1).map((part) => {
    const share = parseInt(part, 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue! > 0.18 ? "#0f1216" : "#ffffff";
}
