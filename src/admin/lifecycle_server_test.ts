import assert from "node:assert/strict";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import { systemClock } from "../kernel/clock.ts";
import type { Addition } from "../model/addition.ts";
import type { AdditionsResult } from "./additions.ts";
import { serveLifecycle } from "./lifecycle_server.ts";

const OLD: Addition = { cluster: "web", kind: "sources", name: "one", value: { zookeeper: { path: "/x" } } };
const SOURCE = {
  source_class: "tellapart.aurproxy.source.StaticProxySource",
  name: "one",
  host: "127.0.0.1",
  port: 80,
};

Deno.test.each(
  [
    { put: 403, want: ["put nodes"] },
    { put: 400, want: ["put nodes"] },
    { put: 201, want: ["put nodes", "remove sources"] },
    { put: 200, want: ["put nodes", "remove sources"] },
  ] as const,
)("a source of another kind is replaced only once the new one is accepted ($put)", async ({ put, want }) => {
  const log = new RecordingLogger();
  const calls: string[] = [];
  await using _server = await serveLifecycle({
    address: { host: "127.0.0.1", port: 0 },
    whyFailing: () => undefined,
    quit() {},
    additions: {
      all: [OLD],
      get: () => ({ status: 200 }),
      put({ kind }): Promise<AdditionsResult> {
        calls.push(`put ${kind}`);
        return Promise.resolve({ status: put, said: {} });
      },
      remove({ kind }): Promise<AdditionsResult> {
        calls.push(`remove ${kind}`);
        return Promise.resolve({ status: 204 });
      },
    },
    clock: systemClock,
    wallNow: Date.now,
    log,
    openFilesMax: undefined,
  });
  const at = log.records.find(({ properties }) => properties?.event === "lifecycle.listening")?.properties?.at;
  const answer = await fetch(`http://${at}/api/source/web/source/one/`, {
    method: "PUT",
    body: JSON.stringify({ source: SOURCE }),
  });
  await answer.text();
  assert.equal(answer.status, put);
  assert.deepEqual(calls, want);
});
