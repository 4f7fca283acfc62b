import assert from "node:assert/strict";
import { RecordingContext, soon } from "../../../tests/support/discovery.ts";
import { systemClock } from "../../../src/kernel/clock.ts";
import { systemRandom } from "../../../src/kernel/random.ts";
import type { EndpointRequest, Endpoints } from "./endpoints.ts";
import { V2_CODE } from "./v2_messages.ts";
import { V2Store } from "./v2_store.ts";

/** An etcd whose answers a test sets, by the last part of the key. */
type Script = (key: string, request: EndpointRequest) => Promise<{ readonly status: number; readonly json: unknown }>;

function storeOf(script: Script): V2Store {
  const ask: Endpoints["ask"] = async (request, read) => {
    const [path = ""] = request.path.split("?");
    const { status, json } = await script(path.slice(path.lastIndexOf("/") + 1), request);
    return read({ status, statusText: "", headers: { "x-etcd-index": "1" }, text: JSON.stringify(json) });
  };
  const endpoints = { ask } as unknown as Endpoints;
  const { log } = new RecordingContext();
  const options = { endpoints, prefix: "/test", log, clock: systemClock, random: systemRandom, signal: soon() };
  return new V2Store({ ...options, ttlMs: 3_000, renewalMs: 1_000 });
}

const refused = (errorCode: number) => ({ status: 412, json: { errorCode, message: "refused" } });

/** Lets everything happen that waits for no answer. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 1_000; turn++) await Promise.resolve();
}

Deno.test("V2Store keeps renewing a key that is changed after the renewal of another one has failed", async () => {
  const held = Promise.withResolvers<void>();
  const renewed: string[] = [];
  let index = 0;
  const written = (key: string) => ({
    status: 200,
    json: { node: { key: `/${key}`, value: "", modifiedIndex: ++index } },
  });
  const store = storeOf(async (key, { method, body = "", path }) => {
    if (method === "GET") return refused(V2_CODE.notFound);
    if (!body.includes("refresh=true")) return written(key);
    renewed.push(key);
    if (renewed.length > 2) return written(key);
    if (key === "a") throw new Error("no answer");
    await held.promise;
    return path.includes(`prevIndex=${index}`) ? written(key) : refused(V2_CODE.compareFailed);
  });
  const put = (key: string, value: string) =>
    store.put(`/test/${key}`, new TextEncoder().encode(value), { signal: soon(), mayMark: false });
  await put("a", "1");
  await put("b", "1");
  const renewing = store.renew(soon()).catch(() => {});
  const changing = put("b", "2");
  // As long as a change takes that does not wait for the renewal.
  await turns();
  held.resolve();
  await Promise.all([renewing, changing]);
  await turns();
  await store.renew(soon());
  assert.deepEqual(renewed.slice(2).toSorted(), ["a", "b"]);
});
