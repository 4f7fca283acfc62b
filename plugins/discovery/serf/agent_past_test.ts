import assert from "node:assert/strict";
import { AgentPast } from "./agent_past.ts";
import type { Member } from "./members.ts";

function list(...names: readonly string[]): readonly Member[] {
  return names.map((name) => {
    const [own = "", status = "alive"] = name.split(" ");
    return { name: own, ip: "10.0.0.1", tags: new Map(own === "a" ? [["web", "80"]] : []), status };
  });
}

/**
 * Judges lists one after the other, each with the second in which it arrives and whether a connection was
 * made before it.
 */
function judged(...looks: readonly (readonly [number, boolean, readonly Member[]])[]): readonly string[] {
  let epochs = 0;
  const past = new AgentPast({ joinMs: 10_000, newEpoch: () => String(++epochs) });
  return looks.map(([second, isFirst, members]) => {
    const { epoch, leaseMs } = past.judge(members, { own: "a", isFirst, now: second * 1_000 });
    return `${epoch} ${leaseMs}`;
  });
}

Deno.test("an agent that lists all members it knew continues in its epoch, over reconnects and failures", () => {
  assert.deepEqual(
    judged(
      [0, true, list("a", "b")],
      [11, false, list("a", "b", "c")],
      [20, true, list("a", "b", "c")],
      [21, false, list("a", "b failed", "c left")],
      [22, true, list("a", "b failed", "c left")],
    ),
    ["1 10000", "1 0", "1 0", "1 0", "1 0"],
  );
});

Deno.test("an agent that no longer lists a live member was restarted, until it lists all of them or had its time", () => {
  const began = [11, false, list("a", "b", "c")] as const;
  assert.deepEqual(
    judged([0, true, list("a", "b", "c")], began, [20, true, list("a")], [21, false, list("a", "b")], [
      22,
      false,
      list("a", "b", "c"),
    ]),
    ["1 10000", "1 0", "2 10000", "2 10000", "2 0"],
  );
  assert.deepEqual(
    judged([0, true, list("a", "b", "c")], began, [20, true, list("a")], [31, false, list("a", "b")], [
      40,
      true,
      list("a", "b"),
    ]),
    ["1 10000", "1 0", "2 10000", "2 0", "2 0"],
  );
});

Deno.test("an agent that lost tags of its own was restarted", () => {
  const bare = list("a", "b").map((member) => ({ ...member, tags: new Map<string, string>() }));
  assert.deepEqual(
    judged([0, true, list("a", "b")], [11, false, list("a", "b")], [20, true, bare], [21, false, list("a", "b")]),
    ["1 10000", "1 0", "2 10000", "2 0"],
  );
});

Deno.test("an agent that is connected to again before it had its time has another epoch", () => {
  assert.deepEqual(
    judged([0, true, list("a", "b")], [5, true, list("a")], [14, false, list("a")], [15, false, list("a")]),
    [
      "1 10000",
      "2 10000",
      "2 10000",
      "2 0",
    ],
  );
});
