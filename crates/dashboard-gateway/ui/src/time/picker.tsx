// The time picker, refresh and zone.

import { useEffect, useRef, useState } from "react";
import { useShared } from "../state";
import { describe, zoneName, parseTime, QUICK_RANGES, REFRESH_INTERVALS, shift, zoomOut } from "./range";

export function TimePicker() {
  const shared = useShared();
  const [open, setOpen] = useState(false);
  const [from, setFrom] = useState(shared.range.from);
  const [to, setTo] = useState(shared.range.to);
  const box = useRef<HTMLDivElement>(null);

  useEffect(() => {
    setFrom(shared.range.from);
    setTo(shared.range.to);
  }, [shared.range.from, shared.range.to]);

  useEffect(() => {
    if (!open) return undefined;
    const close = (event: Event) => {
      if (event instanceof KeyboardEvent ? event.key === "Escape" : !box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("mousedown", close);
    document.addEventListener("keydown", close);
    return () => {
      document.removeEventListener("mousedown", close);
      document.removeEventListener("keydown", close);
    };
  }, [open]);

  const now = shared.now();
  const valid = parseTime(from, now) !== undefined && parseTime(to, now) !== undefined;
  const choose = (nextFrom: string, nextTo: string) => {
    shared.setRange({ from: nextFrom, to: nextTo });
    setOpen(false);
  };
  return (
    <div className="time-picker" ref={box}>
      <button type="button" className="icon" title="Earlier (t ←)" aria-label="Earlier" onClick={() => shared.setRange(shift(shared.resolved, -1))}>
        ‹
      </button>
      <button type="button" onClick={() => setOpen(!open)} aria-expanded={open} aria-haspopup="dialog">
        {describe(shared.range, shared.zone)} <span className="zone">{zoneName(shared.zone, shared.resolved.to)}</span>
      </button>
      <button type="button" className="icon" title="Later (t →)" aria-label="Later" onClick={() => shared.setRange(shift(shared.resolved, 1))}>
        ›
      </button>
      <button type="button" className="icon wide-only" title="Zoom out (t z)" aria-label="Zoom out" onClick={() => shared.setRange(zoomOut(shared.resolved))}>
        −
      </button>
      <select aria-label="Refresh" value={shared.refresh} onChange={(event) => shared.setRefresh(event.target.value)}>
        {REFRESH_INTERVALS.map((interval) => (
          <option key={interval} value={interval}>
            {interval === "off" ? "Refresh off" : `Every ${interval}`}
          </option>
        ))}
      </select>
      <button type="button" className="icon" title="Refresh (r)" aria-label="Refresh now" onClick={shared.reload}>
        ↻
      </button>
      {open && (
        <div className="popover" role="dialog" aria-label="Time range">
          <div className="quick">
            {QUICK_RANGES.map(([start, label]) => (
              <button type="button" className="plain" key={start} onClick={() => choose(start, "now")} aria-pressed={shared.range.from === start && shared.range.to === "now"}>
                {label}
              </button>
            ))}
          </div>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              if (valid) choose(from.trim(), to.trim());
            }}
          >
            <label>
              From
              <input value={from} onChange={(event) => setFrom(event.target.value)} spellCheck={false} />
            </label>
            <label>
              To
              <input value={to} onChange={(event) => setTo(event.target.value)} spellCheck={false} />
            </label>
            <p className={valid ? "muted" : "bad-text"}>{valid ? "now-2h, 2026-11-22 14:00, or epoch ms" : "Write now-2h, 2026-11-22 14:00, or epoch ms."}</p>
            <button type="submit" className="primary" disabled={!valid}>
              Apply
            </button>
            <label>
              Time zone
              <select value={shared.zone ?? ""} onChange={(event) => shared.setZone(event.target.value || undefined)}>
                <option value="">Browser ({Intl.DateTimeFormat().resolvedOptions().timeZone})</option>
                <option value="UTC">UTC</option>
                {Intl.supportedValuesOf("timeZone").map((zone) => (
                  <option key={zone} value={zone}>
                    {zone}
                  </option>
                ))}
              </select>
            </label>
          </form>
        </div>
      )}
    </div>
  );
}
