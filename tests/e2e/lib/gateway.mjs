// The gateway as a client sees it.

import { assert } from "./wait.mjs";

export class Gateway {
  constructor(url, password) {
    this.url = url.replace(/\/$/, "");
    this.password = password;
    this.cookie = "";
  }

  async login() {
    const response = await fetch(`${this.url}/api/login`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user: "admin", password: this.password }),
    });
    assert(response.ok, `login: ${response.status} ${await response.text()}`);
    this.cookie = response.headers.getSetCookie().map((cookie) => cookie.split(";")[0]).join("; ");
    return this;
  }

  async get(path) {
    const response = await fetch(`${this.url}/${path}`, { headers: { Cookie: this.cookie } });
    const text = await response.text();
    assert(response.ok, `GET ${path}: ${response.status} ${text.slice(0, 500)}`);
    return JSON.parse(text);
  }

  async post(path, body) {
    const headers = { Cookie: this.cookie, "Content-Type": "application/json", "X-Watchbell-Request": "1" };
    const response = await fetch(`${this.url}/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    assert(response.ok, `POST ${path}: ${response.status} ${(await response.text()).slice(0, 500)}`);
  }

  /** The series of an instant PromQL query: [{labels, value}]. */
  async metrics(query, time) {
    const params = new URLSearchParams({ query, ...(time ? { time: String(time) } : {}) });
    const { data } = await this.get(`prometheus/api/v1/query?${params}`);
    if (data.resultType === "scalar") return [{ labels: {}, value: Number(data.result[1]) }];
    return data.result.map((one) => ({ labels: one.metric, value: Number(one.value[1]) }));
  }

  /** The series of an instant LogQL query: [{labels, value}]. */
  async lines(query) {
    const { data } = await this.get(`loki/loki/api/v1/query?${new URLSearchParams({ query })}`);
    return data.result.map((one) => ({ labels: one.metric, value: Number(one.value[1]) }));
  }

  /** Lines of a LogQL query, newest first: [{labels, ns, line}]. */
  async logs(query, { limit = 5000, fromMs = Date.now() - 3_600_000, toMs = Date.now() + 60_000 } = {}) {
    const params = new URLSearchParams({ query, limit: String(limit), start: `${fromMs}000000`, end: `${toMs}000000`, direction: "backward" });
    const { data } = await this.get(`loki/loki/api/v1/query_range?${params}`);
    return data.result.flatMap((stream) => stream.values.map(([ns, line]) => ({ labels: stream.stream, ns, line })));
  }
}
