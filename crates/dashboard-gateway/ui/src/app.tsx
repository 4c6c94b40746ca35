// The frame: left bar, top bar, keys, and which page stands between them.

import { lazy, Suspense, useEffect, useMemo, useState, type ReactNode } from "react";
import { ApiError, setUnauthenticatedHandler } from "./api/http";
import { logout, session as loadSession, type Session } from "./api/gateway";
import { Alerts } from "./pages/alerts";
import { Container, Host } from "./pages/container";
import { Home } from "./pages/home";
import { BellMark, Login } from "./pages/login";
import { Status } from "./pages/status";
import { Targets } from "./pages/targets";
import { Link } from "./parts/link";
import { Loading } from "./parts/states";
import { KEYS, useKeys } from "./parts/keys";
import { Search } from "./parts/search";
import { useAway } from "./api/away";
import { AlertMarks } from "./charts/alert-marks";
import { useLocation } from "./router";
import { SharedProvider, useShared, useTheme } from "./state";
import { TimePicker } from "./time/picker";

const Explore = lazy(() => import("./pages/explore").then((module) => ({ default: module.Explore })));
const Dashboards = lazy(() => import("./dashboards/list").then((module) => ({ default: module.Dashboards })));
const Dashboard = lazy(() => import("./dashboards/view").then((module) => ({ default: module.Dashboard })));

const PAGES: { path: string; title: string; key: string; icon: string }[] = [
  { path: "home", title: "Home", key: "h", icon: "M4 14 16 4l12 10v13h-8v-8h-8v8H4z" },
  { path: "dashboards", title: "Dashboards", key: "d", icon: "M4 4h10v10H4zM18 4h10v6H18zM18 14h10v14H18zM4 18h10v10H4z" },
  { path: "explore", title: "Explore", key: "e", icon: "M14 4a10 10 0 1 0 6 18l6 6 2-2-6-6A10 10 0 0 0 14 4zm0 3a7 7 0 1 1 0 14 7 7 0 0 1 0-14z" },
  { path: "alerts", title: "Alerts", key: "a", icon: "M16 4a7 7 0 0 0-7 7v7l-3 4h20l-3-4v-7a7 7 0 0 0-7-7zm-3 20a3 3 0 0 0 6 0z" },
  { path: "targets", title: "Targets", key: "t", icon: "M16 3a13 13 0 1 0 0 26 13 13 0 0 0 0-26zm0 3a10 10 0 1 1 0 20 10 10 0 0 1 0-20zm0 5a5 5 0 1 0 0 10 5 5 0 0 0 0-10z" },
  { path: "status", title: "Status", key: "s", icon: "M3 17h6l4-11 6 20 4-9h6v-3h-8l-2 5L13 0 7 14H3z" },
];

export function App() {
  const [theme, setTheme] = useTheme();
  const [session, setSession] = useState<Session | undefined>();
  const [state, setState] = useState<"loading" | "in" | "out" | "away">("loading");

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = () =>
      loadSession().then(
        (found) => {
          setSession(found);
          setState("in");
        },
        (error: unknown) => {
          if (error instanceof ApiError && error.status === 401) return setState("out");
          setState("away");
          timer = setTimeout(ask, 2000);
        },
      );
    void ask();
    setUnauthenticatedHandler(() => setState("out"));
    return () => clearTimeout(timer);
  }, []);

  if (state === "loading") return <Loading height={600} />;
  if (state === "away") return <p className="banner bad">The gateway does not answer. Trying again every 2 s.</p>;
  if (state === "out" || !session) {
    return (
      <Login
        expired={session !== undefined}
        onLogin={(found) => {
          setSession(found);
          setState("in");
        }}
      />
    );
  }
  return (
    <SharedProvider session={session} theme={theme} setTheme={setTheme}>
      <Frame onLogout={() => setState("out")} />
    </SharedProvider>
  );
}

function Frame(props: { onLogout: () => void }) {
  const shared = useShared();
  const { path } = useLocation();
  const [help, setHelp] = useState(false);
  const [search, setSearch] = useState(false);
  const toggle = useMemo(
    () => ({
      help: () => setHelp((shown) => !shown),
      search: () => setSearch(true),
      close: () => {
        setHelp(false);
        setSearch(false);
      },
    }),
    [],
  );
  useKeys(PAGES, toggle);
  const page = PAGES.find((one) => path.startsWith(one.path)) ?? (path.startsWith("d/") ? PAGES[1]! : PAGES[0]!);
  useEffect(() => {
    document.title = `${page.title} – Watchbell`;
  }, [page.title]);
  return (
    <div className="frame">
      <a className="skip" href="#content">
        To the content
      </a>
      <nav className="side" aria-label="Pages">
        <Link to="home" className="brand" title="Watchbell">
          <BellMark />
          <span>Watchbell</span>
        </Link>
        {PAGES.map((one) => (
          <Link key={one.path} to={one.path} title={`${one.title} (g ${one.key})`} current={one === page}>
            <svg width="20" height="20" viewBox="0 0 32 32" aria-hidden="true">
              <path d={one.icon} fill="currentColor" />
            </svg>
            <span>{one.title}</span>
          </Link>
        ))}
      </nav>
      <div className="main">
        <header className="top">
          <TimePicker />
          <span className="grow" />
          <button type="button" className="search-open" title="Search (/)" onClick={() => setSearch(true)}>
            Search <kbd>/</kbd>
          </button>
          <select aria-label="Theme" value={localStorage.getItem("theme") ?? "system"} onChange={(event) => shared.setTheme(event.target.value as "dark")}>
            <option value="system">Theme: system</option>
            <option value="dark">Dark</option>
            <option value="light">Light</option>
          </select>
          <button type="button" className="icon" title="Keys (?)" aria-label="Keys" onClick={() => setHelp(!help)}>
            ?
          </button>
          <button type="button" title={`Log out ${shared.session.user}`} onClick={() => void logout().finally(props.onLogout)}>
            Log out
          </button>
        </header>
        <Notices />
        {help && <Help onClose={() => setHelp(false)} />}
        {search && <Search pages={PAGES} onClose={() => setSearch(false)} />}
        <main id="content">
          <Suspense fallback={<Loading height={400} />}>
            <AlertMarks>
              <Page path={path} />
            </AlertMarks>
          </Suspense>
        </main>
      </div>
    </div>
  );
}

function Page(props: { path: string }): ReactNode {
  const { path } = props;
  if (path === "" || path === "home") return <Home />;
  if (path === "explore") return <Explore />;
  if (path === "alerts") return <Alerts />;
  if (path === "targets") return <Targets />;
  if (path === "status") return <Status />;
  if (path === "container") return <Container />;
  if (path === "host") return <Host />;
  if (path === "dashboards") return <Dashboards />;
  if (path.startsWith("d/")) return <Dashboard key={path} uid={decodeURIComponent(path.split("/")[1] ?? "")} />;
  return (
    <div className="page">
      <h1>No such page</h1>
      <p>
        There is no page {path}. <Link to="home">Home</Link>
      </p>
    </div>
  );
}

function Notices() {
  const { session, clockSkewMs, reload } = useShared();
  const away = useAway();
  useEffect(() => {
    if (away.length === 0) return undefined;
    const timer = setInterval(reload, 5000);
    return () => clearInterval(timer);
  }, [away, reload]);
  return (
    <>
      {away.length > 0 && (
        <p className="banner bad" role="status">
          The {away.join(" and the ")} {away.length === 1 ? "does" : "do"} not answer. What is shown is from before; trying again every 5 s.
        </p>
      )}
      {session.initial_password && (
        <p className="banner warn">
          The first password is still in use. <Link to="status">Change it under Status</Link>
        </p>
      )}
      {Math.abs(clockSkewMs) > 5000 && (
        <p className="banner warn">
          This browser's clock is {Math.round(clockSkewMs / 1000)} s {clockSkewMs > 0 ? "ahead of" : "behind"} the server's. “Now” is the server's.
        </p>
      )}
    </>
  );
}

function Help(props: { onClose: () => void }) {
  return (
    <div className="panel help" role="dialog" aria-label="Keys">
      <table>
        <tbody>
          {KEYS.map(([key, what]) => (
            <tr key={key}>
              <th scope="row">
                <kbd>{key}</kbd>
              </th>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <button type="button" onClick={props.onClose}>
        Close
      </button>
    </div>
  );
}
