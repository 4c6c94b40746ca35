// Loading, empty, error: each says what it is and offers a step.

import { useEffect, useState, type ReactNode } from "react";
import { Shown, shownNode } from "./shown";

/** An outline, shown only when loading takes longer than 150 ms. */
export function Loading(props: { height?: number }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 150);
    return () => clearTimeout(timer);
  }, []);
  return <div className={late ? "outline pulsing" : "outline"} style={{ height: props.height ?? 120 }} aria-busy="true" />;
}

export function Empty(props: { children: ReactNode; action?: ReactNode; height?: number }) {
  return (
    <div className="empty" style={{ minHeight: props.height }}>
      <p>{props.children}</p>
      {props.action}
    </div>
  );
}

export function Failure(props: { error: Error; retry?: () => void }) {
  return (
    <div className="failure" role="alert">
      <pre><Shown text={props.error.message} /></pre>
      {props.retry && (
        <button type="button" onClick={props.retry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Panel(props: { title: ReactNode; actions?: ReactNode; busy?: boolean; children: ReactNode; className?: string }) {
  return (
    <section className={`panel ${props.className ?? ""}`}>
      <header>
        <h2>{shownNode(props.title)}</h2>
        {props.busy && <span className="busy" aria-label="Loading" />}
        <span className="grow" />
        {props.actions}
      </header>
      {props.children}
    </section>
  );
}

export function Badge(props: { kind: "good" | "bad" | "warn" | "info" | "quiet"; children: ReactNode }) {
  return <span className={`badge ${props.kind}`}>{shownNode(props.children)}</span>;
}
