// Where rows lie in a list of which only the part in view is laid out.

/** The top of each row and, last, the height of all; rows not measured yet have `usual`. */
export function offsetsOf(keys: string[], measured: ReadonlyMap<string, number>, usual: number): Float64Array {
  const offsets = new Float64Array(keys.length + 1);
  for (let i = 0; i < keys.length; i += 1) offsets[i + 1] = offsets[i]! + (measured.get(keys[i]!) ?? usual);
  return offsets;
}

/** The row that lies at `top`. */
export function firstAt(offsets: Float64Array, top: number): number {
  let low = 0;
  let high = Math.max(0, offsets.length - 2);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (offsets[middle]! <= top) low = middle;
    else high = middle - 1;
  }
  return low;
}
