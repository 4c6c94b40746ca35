// Shares of a whole.

import { cssColor, stylesFor } from "../format/colors";
import { formatValue } from "../format/units";
import { Shown } from "../parts/shown";
import { useShared } from "../state";

export interface Slice {
  key: string;
  name: string;
  value: number;
  color: string | undefined;
  unit?: string;
  decimals?: number | null;
}

const SLICES_MAX = 30;

/** The path of a ring's part between two shares of the circle. */
function ring(from: number, to: number, inner: number): string {
  const end = Math.min(to, from + 0.99999);
  const point = (share: number, radius: number) => `${(50 + radius * Math.sin(2 * Math.PI * share)).toFixed(3)} ${(50 - radius * Math.cos(2 * Math.PI * share)).toFixed(3)}`;
  const large = end - from > 0.5 ? 1 : 0;
  return `M${point(from, 48)}A48 48 0 ${large} 1 ${point(end, 48)}L${point(end, inner)}A${inner} ${inner} 0 ${large} 0 ${point(from, inner)}Z`;
}

export function Pie(props: { slices: Slice[]; donut: boolean; height: number }) {
  const { theme } = useShared();
  const slices = props.slices.filter((slice) => slice.value > 0).sort((a, b) => b.value - a.value).slice(0, SLICES_MAX);
  const total = slices.reduce((sum, slice) => sum + slice.value, 0);
  const styles = stylesFor(slices.map((slice) => slice.name), theme === "dark");
  const starts = slices.map((_, i) => slices.slice(0, i).reduce((sum, slice) => sum + slice.value, 0) / total);
  const colorOf = (i: number) => cssColor(slices[i]!.color) ?? styles[i]!.color;
  return (
    <div className="pie" style={{ height: props.height }}>
      <svg viewBox="0 0 100 100" role="img" aria-label={slices.map((slice) => `${slice.name} ${((slice.value / total) * 100).toFixed(1)} %`).join(", ")}>
        {slices.map((slice, i) => (
          <path key={slice.key} d={ring(starts[i]!, starts[i]! + slice.value / total, props.donut ? 28 : 0)} fill={colorOf(i)} />
        ))}
      </svg>
      <ul>
        {slices.map((slice, i) => (
          <li key={slice.key}>
            <i style={{ background: colorOf(i) }} />
            <span>
              <Shown text={slice.name} />
            </span>
            <b>{formatValue(slice.value, slice.unit, slice.decimals)}</b>
            <span className="muted">{((slice.value / total) * 100).toFixed(1)} %</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
