/**
 * my_notifier: posts events as JSON to a server over HTTP.
 *
 * @module
 */
import type { NotifierPlugin, SchemaIssue, SchemaResult } from "../../../mod.ts";

/** A file of notifiers/, validated. */
export interface Config {
  /** The server's address: `host:port`. */
  readonly address: string;
  /** The path that events are posted to. */
  readonly path: string;
}

/** Returns all issues of a config at once, each with its path; never throws. */
function validate(value: unknown): SchemaResult<Config> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { issues: [{ message: "Cannot use the config: must be a map" }] };
  }
  const { address, path = "/", ...others } = value as Record<string, unknown>;
  const issues: SchemaIssue[] = Object.keys(others).map((key) => ({
    message: `Cannot use ${key}: unknown key`,
    path: [key],
    unknownKey: { known: ["address", "path"] },
  }));
  const isAddress = typeof address === "string" && /^[\w.-]+:[0-9]{1,5}$/.test(address);
  const isPath = typeof path === "string" && path.startsWith("/");
  if (isAddress && isPath && issues.length === 0) return { value: { address, path } };
  const fault = (key: string, wanted: string, current: unknown) =>
    issues.push({
      message: `Cannot use ${key}: must be ${wanted}; current value is ${JSON.stringify(current)}`,
      path: [key],
    });
  if (!isAddress) fault("address", "host:port", address);
  if (!isPath) fault("path", "a path that begins with a slash", path);
  return { issues };
}

const plugin: NotifierPlugin<Config> = {
  kind: "notifier",
  apiVersion: 1,
  name: "my_notifier",
  summary: "Posts events as JSON to a server over HTTP",
  stability: "experimental",
  example: { address: "127.0.0.1:8080", path: "/events" },
  config: { "~standard": { version: 1, vendor: "my_notifier", validate } },
  // The address in the operator's config, granted by allow: { net: ["{config}"] }.
  permissions: ({ address }) => ({ net: [address] }),

  async notify(events, { address, path }, signal) {
    const response = await fetch(`http://${address}${path}`, { method: "POST", body: JSON.stringify(events), signal });
    await response.body?.cancel();
    // Throwing is right: Lighthouse retries the same events.
    if (!response.ok) throw new Error(`Cannot deliver to ${address}: got status ${response.status}, expected 2xx`);
  },
};

export default plugin;
