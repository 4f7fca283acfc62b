import assert from "node:assert/strict";
import { Serial } from "./serial.ts";

Deno.test("Serial runs jobs one after the other, in order, and returns each result", async () => {
  const serial = new Serial();
  const seen: string[] = [];
  const job = (name: string) => async () => {
    seen.push(`${name} begins`);
    await Promise.resolve();
    seen.push(`${name} ends`);
    return name;
  };
  assert.deepEqual(await Promise.all([serial.run(job("a")), serial.run(job("b"))]), ["a", "b"]);
  assert.deepEqual(seen, ["a begins", "a ends", "b begins", "b ends"]);
});

Deno.test("Serial: a failed job rejects its own promise, and does not stop the next", async () => {
  const serial = new Serial();
  const failing = serial.run(() => Promise.reject(new Error("no")));
  const throwing = serial.run(() => {
    throw new Error("at once");
  });
  const next = serial.run(() => Promise.resolve("yes"));
  await assert.rejects(failing, /no/);
  await assert.rejects(throwing, /at once/);
  assert.equal(await next, "yes");
});

Deno.test("Serial.idle() waits for all jobs so far", async () => {
  const serial = new Serial();
  let done = false;
  void serial.run(async () => {
    await Promise.resolve();
    done = true;
  });
  await serial.idle();
  assert.ok(done);
});
