import assert from "node:assert/strict";
import type { ToWorker } from "../protocol/messages.ts";
import { FollowedKeys } from "./followed_keys.ts";

Deno.test("FollowedKeys watches nothing if the worker ended before the stream was read", async () => {
  const posted: ToWorker[] = [];
  const keys = new FollowedKeys((message) => posted.push(message));
  const stream = keys.follow("conf/", new AbortController().signal);
  keys.end(new Error("uncaught error"));
  let end: unknown;
  void stream.next().then(() => end = "an answer", (error) => end = error);
  for (let turn = 0; turn < 20; turn++) await undefined;
  assert.match(String(end), /uncaught error/);
  assert.deepEqual(posted, []);
});
