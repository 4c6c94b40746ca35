// The login form; shown over the page when a session has expired, so that the query is kept.

import { useState } from "react";
import { ApiError } from "../api/http";
import { login, type Session } from "../api/gateway";

export function Login(props: { onLogin: (session: Session) => void; expired: boolean }) {
  const [user, setUser] = useState("admin");
  const [password, setPassword] = useState("");
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = (event: React.FormEvent) => {
    event.preventDefault();
    setBusy(true);
    login(user, password).then(props.onLogin, (error: unknown) => {
      setBusy(false);
      setFailure(error instanceof ApiError && error.status === 401 ? "User or password is wrong." : error instanceof Error ? error.message : String(error));
    });
  };
  return (
    <main className="login">
      <form onSubmit={submit} aria-label="Log in">
        <h1>
          <BellMark /> Watchbell
        </h1>
        {props.expired && <p className="note warn">The session has ended. Log in to go on where you were.</p>}
        <label>
          User
          <input name="user" value={user} autoComplete="username" onChange={(event) => setUser(event.target.value)} />
        </label>
        <label>
          Password
          <input name="password" type="password" autoComplete="current-password" autoFocus value={password} onChange={(event) => setPassword(event.target.value)} />
        </label>
        {failure && (
          <p className="bad-text" role="alert">
            {failure}
          </p>
        )}
        <button type="submit" className="primary" disabled={busy || password === ""}>
          Log in
        </button>
        <p className="muted">The first password is printed at the start and lies in the data directory, in initial-password.</p>
      </form>
    </main>
  );
}

export function BellMark() {
  return (
    <svg width="20" height="20" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M16 4a7 7 0 0 0-7 7v7l-3 4h20l-3-4v-7a7 7 0 0 0-7-7zm-3 20a3 3 0 0 0 6 0z" fill="currentColor" />
    </svg>
  );
}
