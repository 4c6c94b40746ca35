// The keys of every page.

import { useEffect } from "react";
import { navigate, setParams } from "../router";
import { useShared } from "../state";
import { shift } from "../time/range";

export const KEYS: [string, string][] = [
  ["/", "search"],
  ["?", "this list"],
  ["g then h d e a t s", "go to a page"],
  ["t then ← →", "earlier, later"],
  ["t then z", "zoom out"],
  ["r", "refresh"],
  ["e", "explore the panel under the pointer"],
  ["v", "view the panel under the pointer alone"],
  ["Ctrl-Enter", "run the query"],
  ["Esc", "close"],
];

/** Clicks the button of the panel under the pointer or with the focus that a key stands for. */
function pressInPanel(key: string) {
  const focused = document.activeElement?.closest(".panel");
  const panel = document.querySelector(".panel:hover") ?? focused;
  panel?.querySelector<HTMLButtonElement>(`button[data-key="${key}"]`)?.click();
}

export function useKeys(pages: { path: string; key: string }[], toggle: { help: () => void; search: () => void; close: () => void }) {
  const shared = useShared();
  useEffect(() => {
    let prefix = "";
    const after = (key: string) => {
      if (prefix === "g") {
        const page = pages.find((one) => one.key === key);
        if (page) navigate(page.path);
      } else {
        if (key === "ArrowLeft") shared.setRange(shift(shared.resolved, -1));
        if (key === "ArrowRight") shared.setRange(shift(shared.resolved, 1));
        if (key === "z") shared.zoomOut();
      }
      prefix = "";
    };
    const plain: Record<string, () => void> = {
      r: shared.reload,
      "?": toggle.help,
      "/": toggle.search,
      e: () => pressInPanel("e"),
      v: () => pressInPanel("v"),
    };
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.key === "Escape") {
        toggle.close();
        if (!target.closest("input, .cm-editor, [role=dialog]")) setParams({ viewPanel: null });
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, textarea, select, .cm-editor")) return;
      if (prefix) return after(event.key);
      if (event.key === "g" || event.key === "t") prefix = event.key;
      const act = plain[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [shared, toggle, pages]);
}
