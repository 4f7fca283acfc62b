import assert from "node:assert/strict";
import { haproxyCluster } from "../../../tests/support/haproxy.ts";
import { weighing } from "./weighing.ts";

function ask(
  backend: readonly string[],
  more: { readonly options?: string; readonly defaults?: readonly string[] } = {},
) {
  const section = haproxyCluster({ backend: [...backend], server_options: more.options ?? "" });
  return weighing({ defaults: more.defaults ?? [] }, section);
}

Deno.test.each(["", "balance roundrobin", "balance leastconn", "balance random(2)"])("%s shares by weight", (line) => {
  assert.deepEqual(ask(line === "" ? [] : [line]), { by: "weight", movesKeys: false });
});

Deno.test.each([
  { lines: ["balance uri"] },
  { lines: ["balance source", "hash-type consistent"] },
  { lines: ["balance url_param id", "hash-type consistent"] },
])("$lines share by weight, and each change moves keys", ({ lines }) => {
  assert.deepEqual(ask(lines), { by: "weight", movesKeys: true });
});

Deno.test.each([
  { lines: ["balance source"], reason: /; use "hash-type consistent"/ },
  { lines: ["balance uri", "hash-type map-based"], reason: /; use "hash-type consistent"/ },
  { lines: ["balance static-rr"], reason: /use "balance roundrobin"/ },
  { lines: ["balance first"], reason: /ignores weights/ },
])("$lines cannot carry shares", ({ lines, reason }) => {
  const answer = ask(lines);
  assert(answer.by === "other");
  assert.match(answer.reason, reason);
  assert.deepEqual(answer.path, ["backend"]);
});

Deno.test("an agent check decides on the weight itself, wherever it is configured", () => {
  const own = ask([], { options: "check agent-check agent-port 99" });
  assert.deepEqual([own.by, own.by === "other" && own.path], ["other", ["server_options"]]);
  assert.equal(ask([], { defaults: ["default-server agent-check"] }).by, "other");
  assert.equal(ask([], { defaults: ["balance first"] }).by, "other");
});
