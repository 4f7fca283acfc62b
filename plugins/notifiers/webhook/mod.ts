import type { NotifiedEvent, NotifierPlugin } from "../../../mod.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import { formatEndpoint } from "../../../src/model/endpoint.ts";
import type { PostUrl } from "../post_url.ts";

/** The keys, validated. */
interface WebhookConfig {
  readonly url: PostUrl;
  readonly path?: string | undefined;
  readonly token?: string | undefined;
  readonly headers: { readonly [name: string]: string };
  readonly ca?: string | undefined;
}

/** Writes events as they are posted. */
export function webhookBody(events: readonly NotifiedEvent[]): string {
  return JSON.stringify({
    version: 1,
    events: events.map(({ atMs, ...event }) => ({ time: new Date(atMs).toISOString(), ...event })),
  });
}

/** The notifier `webhook`. */
const webhook: NotifierPlugin<WebhookConfig> = {
  kind: "notifier",
  apiVersion: 1,
  name: "webhook",
  summary: "Posts events as JSON",
  stability: "stable",
  example: { url: "http://127.0.0.1:8080/events" },
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: ({ url, ca }) => ({ net: [formatEndpoint(url)], ...ca !== undefined && { read: [ca] } }),
  async notify(events, { url, path, token, headers, ca }, signal) {
    const { clientFor, post } = await import("../http_post.ts");
    using client = await clientFor(url, ca);
    await post(client, url, {
      path,
      headers: {
        ...headers,
        "content-type": "application/json",
        ...token !== undefined && { authorization: `Bearer ${token}` },
      },
      body: webhookBody(events),
      signal,
    });
  },
};

export default webhook;
