// A small line without axes.

export function Sparkline(props: { values: (number | null)[]; color?: string; width?: number; height?: number; label: string }) {
  const { width = 96, height = 20, values } = props;
  const numbers = values.filter((value): value is number => value !== null);
  const max = Math.max(...numbers, 0);
  const min = Math.min(...numbers, 0);
  const x = (i: number) => (values.length < 2 ? 0 : (i / (values.length - 1)) * (width - 2) + 1);
  const y = (value: number) => height - 2 - ((value - min) / (max - min || 1)) * (height - 4);
  let path = "";
  let open = false;
  values.forEach((value, i) => {
    if (value === null) {
      open = false;
      return;
    }
    path += `${open ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
    open = true;
  });
  return (
    <svg className="sparkline" width={width} height={height} role="img" aria-label={props.label}>
      <path d={path} fill="none" stroke={props.color ?? "var(--accent)"} strokeWidth="1.5" />
    </svg>
  );
}
