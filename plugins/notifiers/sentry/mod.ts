import { createHash } from "node:crypto";
import type { NotifiedEvent, NotifierPlugin } from "../../../mod.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import { formatEndpoint } from "../../../src/model/endpoint.ts";
import type { Dsn } from "./config.ts";

/** The keys, validated. */
interface SentryConfig {
  readonly dsn: Dsn;
  readonly environment?: string | undefined;
  readonly ca?: string | undefined;
}

const LEVELS = { info: "info", warn: "warning", error: "error" } as const;
/** The fields by which events of one id are different issues. */
const ISSUE_FIELDS = ["cluster", "balancer", "service", "check", "discovery", "worker"];
/** A tag is no longer than this. */
const TAG_LENGTH_MAX = 200;

/** Writes one event as an envelope of Sentry. */
export function sentryEnvelope(
  { event, level, message, atMs, fields }: NotifiedEvent,
  { id, environment }: { readonly id: string; readonly environment?: string | undefined },
): string {
  const tags = Object.entries(fields).filter(([key, value]) =>
    ISSUE_FIELDS.includes(key) && String(value).length <= TAG_LENGTH_MAX
  );
  const payload = {
    event_id: id,
    timestamp: new Date(atMs).toISOString(),
    platform: "other",
    level: LEVELS[level],
    logger: "lighthouse",
    message: { formatted: message },
    tags: { event, ...Object.fromEntries(tags) },
    extra: fields,
    fingerprint: [event, ...ISSUE_FIELDS.map((key) => String(fields[key] ?? ""))],
    ...typeof fields.host === "string" && { server_name: fields.host },
    ...environment !== undefined && { environment },
  };
  return `${JSON.stringify({ event_id: id })}\n${JSON.stringify({ type: "event" })}\n${JSON.stringify(payload)}\n`;
}

/** An event that is sent twice, as the answer was lost, has the same id: Sentry keeps one. */
function idOf(event: NotifiedEvent): string {
  return createHash("sha256").update(JSON.stringify(event)).digest("hex").slice(0, 32);
}

/** The notifier `sentry`. */
const sentry: NotifierPlugin<SentryConfig> = {
  kind: "notifier",
  apiVersion: 1,
  name: "sentry",
  summary: "Sends events to Sentry",
  stability: "stable",
  example: { dsn: "http://0123456789abcdef@127.0.0.1:8080/1" },
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: ({ dsn: { url }, ca }) => ({ net: [formatEndpoint(url)], ...ca !== undefined && { read: [ca] } }),
  async notify(events, { dsn: { url, key, project }, environment, ca }, signal) {
    const { clientFor, post } = await import("../http_post.ts");
    using client = await clientFor(url, ca);
    for (const event of events) {
      await post(client, url, {
        path: `${url.path.replace(/\/$/, "")}/api/${project}/envelope/`,
        headers: {
          "content-type": "application/x-sentry-envelope",
          "x-sentry-auth": `Sentry sentry_version=7, sentry_client=lighthouse/2, sentry_key=${key}`,
        },
        body: sentryEnvelope(event, { id: idOf(event), environment }),
        signal,
      });
    }
  },
};

export default sentry;
