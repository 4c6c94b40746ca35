// The grid while it is edited: panels are moved by their bar, resized by their corner, or with the arrow keys.

import { useRef, useState } from "react";
import { Shown } from "../parts/shown";
import { COLUMNS, gridOf, type Grid } from "./edit";
import type { PanelModel } from "./model";
import { PanelView } from "./panel";
import type { Scope } from "./variables";

const ROW_PX = 38;
const GAP_PX = 8;

interface EditGridProps {
  panels: PanelModel[];
  scope: Scope;
  onPlace: (id: number, grid: Grid) => void;
  onEdit: (id: number) => void;
  onRemove: (id: number) => void;
  onDuplicate: (id: number) => void;
}

export function EditGrid(props: EditGridProps) {
  const host = useRef<HTMLDivElement>(null);
  return (
    <div className="grid editing" ref={host}>
      {props.panels.map((panel) => (
        <EditCell key={panel.id} panel={panel} host={host} {...props} />
      ))}
    </div>
  );
}

function EditCell(props: EditGridProps & { panel: PanelModel; host: React.RefObject<HTMLDivElement | null> }) {
  const { panel } = props;
  const [draft, setDraft] = useState<Grid | undefined>();
  const grid = draft ?? gridOf(panel);

  const drag = (event: React.PointerEvent, how: "move" | "size") => {
    if (event.button !== 0 || !props.host.current) return;
    event.preventDefault();
    const handle = event.currentTarget as HTMLElement;
    handle.setPointerCapture(event.pointerId);
    const column = (props.host.current.clientWidth + GAP_PX) / COLUMNS;
    const start = gridOf(panel);
    const [x, y] = [event.clientX, event.clientY];
    let next = start;
    const onMove = (moved: PointerEvent) => {
      const dx = Math.round((moved.clientX - x) / column);
      const dy = Math.round((moved.clientY - y) / ROW_PX);
      next =
        how === "move"
          ? { ...start, x: Math.min(COLUMNS - start.w, Math.max(0, start.x + dx)), y: Math.max(0, start.y + dy) }
          : { ...start, w: Math.min(COLUMNS - start.x, Math.max(2, start.w + dx)), h: Math.max(1, start.h + dy) };
      setDraft(next);
    };
    const onEnd = () => {
      handle.removeEventListener("pointermove", onMove);
      handle.removeEventListener("pointerup", onEnd);
      handle.removeEventListener("pointercancel", onEnd);
      setDraft(undefined);
      if (next !== start) props.onPlace(panel.id, next);
    };
    handle.addEventListener("pointermove", onMove);
    handle.addEventListener("pointerup", onEnd);
    handle.addEventListener("pointercancel", onEnd);
  };

  const onKey = (event: React.KeyboardEvent) => {
    const by: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = by[event.key];
    if (!step) return;
    event.preventDefault();
    const now = gridOf(panel);
    props.onPlace(panel.id, event.shiftKey ? { ...now, w: now.w + step[0], h: now.h + step[1] } : { ...now, x: now.x + step[0], y: now.y + step[1] });
  };

  return (
    <div className={draft ? "grid-cell dragging" : "grid-cell"} style={{ gridColumn: `${grid.x + 1} / span ${grid.w}`, gridRow: `${grid.y + 1} / span ${grid.h}` }}>
      <div className="edit-bar">
        <button type="button" className="icon quiet grip" title="Drag to move; arrows move, shift and arrows resize" aria-label={`Move ${panel.title || "panel"}`} onPointerDown={(event) => drag(event, "move")} onKeyDown={onKey}>
          ⠿
        </button>
        <span className="grow" />
        <button type="button" onClick={() => props.onEdit(panel.id)}>
          Edit
        </button>
        <button type="button" onClick={() => props.onDuplicate(panel.id)}>
          Copy
        </button>
        <button type="button" onClick={() => props.onRemove(panel.id)}>
          Remove
        </button>
      </div>
      {panel.type === "row" ? (
        <div className="grid-row">
          <Shown text={panel.title} />
        </div>
      ) : (
        <PanelView panel={panel} scope={props.scope} />
      )}
      <button type="button" className="resize" tabIndex={-1} aria-label={`Resize ${panel.title || "panel"}`} onPointerDown={(event) => drag(event, "size")} />
    </div>
  );
}
