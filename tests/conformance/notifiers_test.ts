import { EventSink } from "../support/event_sink.ts";
import { notifierConforms } from "./suite.ts";

// Lives as long as this process: each rule of each notifier posts to it.
const sink = new EventSink();
Deno.test.afterAll(() => sink[Symbol.asyncDispose]());
const { host } = new URL(sink.url);

notifierConforms({
  name: "webhook",
  example: { url: sink.url, path: "/events", token: "t0ken" },
  isLive: true,
});

notifierConforms({
  name: "slack",
  example: { url: sink.url, path: "/services/T0/B0/x", channel: "#ops", icon: ":ghost:" },
  isLive: true,
});

notifierConforms({
  name: "sentry",
  example: { dsn: `http://0123456789abcdef@${host}/7` },
  isLive: true,
});

notifierConforms({
  name: "exec",
  example: { command: "/bin/true" },
  isLive: true,
});
