import assert from "node:assert/strict";
import { beat, INITIAL_HEARTBEAT, isDead } from "./heartbeat.ts";

/** Replays pings written as `+` (answered) and `-` (missed); answers one letter each, `L` alive or `D` dead. */
function replay(pings: string, missesMax = 3): string {
  const options = { everyMs: 5_000, missesMax };
  let heartbeat = INITIAL_HEARTBEAT;
  return [...pings].map((ping) => isDead(heartbeat = beat(heartbeat, ping === "+"), options) ? "D" : "L").join("");
}

Deno.test.each([
  { why: "lives while it answers", pings: "+++", then: "LLL" },
  { why: "is dead at the third miss in a row", pings: "+---", then: "LLLD" },
  { why: "is forgiven by an answer", pings: "--+--+--", then: "LLLLLLLL" },
])("A worker $why", ({ pings, then }) => assert.equal(replay(pings), then));

Deno.test("A worker that may miss none is dead at the first miss", () => assert.equal(replay("+-", 1), "LD"));
