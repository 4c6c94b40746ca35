// When a value was what: runs of equal states.

export interface Run {
  /** Seconds. */
  from: number;
  to: number;
  value: number;
}

/** Runs of equal values; a hole longer than a step and a half ends one. `same` tells states apart, such as by their colour and text. */
export function runsOf(times: number[], values: number[], step: number, end: number, same: (value: number) => string): Run[] {
  const runs: Run[] = [];
  times.forEach((time, i) => {
    const value = values[i]!;
    const last = runs[runs.length - 1];
    if (last && same(last.value) === same(value) && time - last.to <= step * 0.5) last.to = time + step;
    else {
      if (last && last.to > time) last.to = time;
      runs.push({ from: time, to: time + step, value });
    }
  });
  for (const run of runs) run.to = Math.min(run.to, end);
  return runs.filter((run) => run.to > run.from);
}
