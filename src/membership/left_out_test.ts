import assert from "node:assert/strict";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import { LeftOut } from "./left_out.ts";

Deno.test("entries that were left out are remembered by worker, the latest first, and are still logged", () => {
  let nowMs = 0;
  const leftOut = new LeftOut(() => nowMs);
  const log = new RecordingLogger();
  const heard = leftOut.listen(log);
  const skip = (reason: string, worker = "zoo") =>
    heard.warn("Left out", { event: "discovery.entry_skipped", worker, reason });
  skip("a: no port");
  nowMs = 1_000;
  skip("b: no port");
  skip("c: no port", "etcd");
  nowMs = 2_000;
  skip("a: no port");
  heard.warn("Other", { event: "registry.unreachable", worker: "zoo", reason: "no route" });
  assert.deepEqual(leftOut.of("zoo"), [{ reason: "a: no port", atMs: 2_000 }, { reason: "b: no port", atMs: 1_000 }]);
  assert.deepEqual(leftOut.of("none"), []);
  assert.equal(log.records.length, 5);
});

Deno.test("at most a hundred entries of a worker are remembered, so that a flooded registry fills no memory", () => {
  const leftOut = new LeftOut(() => 0);
  const heard = leftOut.listen(new RecordingLogger());
  for (let i = 0; i < 300; i++) {
    heard.warn("Worker message rejected", { event: "worker.rejected", worker: "zoo", reason: `n${i}` });
  }
  assert.equal(leftOut.of("zoo").length, 100);
  assert.equal(leftOut.of("zoo")[0]?.reason, "n299");
});
