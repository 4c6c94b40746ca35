// A link within the UI: an <a> that changes the page without loading it anew.

import type { ReactNode } from "react";
import { href, navigate } from "../router";

export function Link(props: { to: string; params?: Record<string, string>; children: ReactNode; className?: string; title?: string; current?: boolean }) {
  return (
    <a
      href={href(props.to, props.params)}
      className={props.className}
      title={props.title}
      aria-current={props.current ? "page" : undefined}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        navigate(props.to, props.params);
      }}
    >
      {props.children}
    </a>
  );
}
