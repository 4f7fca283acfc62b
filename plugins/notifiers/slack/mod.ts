import type { NotifiedEvent, NotifierPlugin } from "../../../mod.ts";
import { eventLine } from "../event_line.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import { formatEndpoint } from "../../../src/model/endpoint.ts";
import type { PostUrl } from "../post_url.ts";

/** The keys, validated. */
interface SlackConfig {
  readonly url: PostUrl;
  readonly path?: string | undefined;
  readonly channel?: string | undefined;
  readonly username?: string | undefined;
  readonly icon?: string | undefined;
  readonly ca?: string | undefined;
}

/** So many events of one message are written out. */
const EVENTS_MAX = 30;
const MARKS = { info: ":large_green_circle:", warn: ":warning:", error: ":red_circle:" } as const;

/** Writes events as Slack's incoming webhooks take them. */
export function slackBody(
  events: readonly NotifiedEvent[],
  { channel, username, icon }: Pick<SlackConfig, "channel" | "username" | "icon">,
): string {
  const lines = events.slice(0, EVENTS_MAX).map((event) => `${MARKS[event.level]} ${escaped(eventLine(event))}`);
  const more = events.length > EVENTS_MAX ? [`and ${events.length - EVENTS_MAX} more`] : [];
  return JSON.stringify({
    text: [...lines, ...more].join("\n"),
    ...channel !== undefined && { channel },
    ...username !== undefined && { username },
    ...icon !== undefined && { icon_emoji: icon },
  });
}

/** What Slack would take for markup: a registry's word must not mention a channel. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** The notifier `slack`. */
const slack: NotifierPlugin<SlackConfig> = {
  kind: "notifier",
  apiVersion: 1,
  name: "slack",
  summary: "Posts events to a Slack channel",
  stability: "stable",
  example: { url: "http://127.0.0.1:8080", path: "/services/T0/B0/x", channel: "#ops" },
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: ({ url, ca }) => ({ net: [formatEndpoint(url)], ...ca !== undefined && { read: [ca] } }),
  async notify(events, { url, path, ca, ...look }, signal) {
    const { clientFor, post } = await import("../http_post.ts");
    using client = await clientFor(url, ca);
    await post(client, url, {
      path,
      headers: { "content-type": "application/json" },
      body: slackBody(events, look),
      signal,
    });
  },
};

export default slack;
