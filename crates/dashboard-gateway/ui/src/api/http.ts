// Calls to the gateway: one place for the prefix, the session and the errors.

import { basePath } from "../router";
import { report } from "./away";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly body?: unknown,
  ) {
    super(message);
  }
}

/** Called when a call finds the session expired; the page and its query stay as they are. */
let onUnauthenticated: () => void = () => undefined;
export function setUnauthenticatedHandler(handler: () => void) {
  onUnauthenticated = handler;
}

export interface CallOptions {
  method?: string;
  json?: unknown;
  form?: URLSearchParams;
  signal?: AbortSignal;
}

export async function call<T>(path: string, options: CallOptions = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  let body: string | undefined;
  if (options.json !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(options.json);
  } else if (options.form) {
    headers["Content-Type"] = "application/x-www-form-urlencoded";
    body = options.form.toString();
  }
  const method = options.method ?? (body === undefined ? "GET" : "POST");
  if (method !== "GET") headers["X-Watchbell-Request"] = "1";
  let response: Response;
  try {
    response = await fetch(basePath + path, { method, headers, body, signal: options.signal, credentials: "same-origin" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    report(path, 0);
    throw new ApiError(0, "The gateway does not answer. Trying again.");
  }
  report(path, response.status);
  const text = await response.text();
  const parsed = parse(text);
  if (!response.ok) {
    if (response.status === 401 && !path.startsWith("api/session") && !path.startsWith("api/login")) onUnauthenticated();
    throw new ApiError(response.status, messageOf(parsed, text, response), parsed);
  }
  return parsed as T;
}

function parse(text: string): unknown {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function messageOf(parsed: unknown, text: string, response: Response): string {
  if (parsed && typeof parsed === "object") {
    const { error, message } = parsed as { error?: unknown; message?: unknown };
    if (typeof error === "string" && error) return error;
    if (typeof message === "string" && message) return message;
  }
  if (typeof parsed === "string" && parsed.length < 1000) return parsed;
  return text.slice(0, 300) || `${response.status} ${response.statusText}`;
}
