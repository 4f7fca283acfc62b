import assert from "node:assert/strict";
import fc from "fast-check";
import type { Node } from "../../../mod.ts";
import { wantedOf } from "../../../tests/support/balancer_case.ts";
import { adopt } from "./adopt.ts";
import { render } from "./render.ts";
import { readShare, serverShare } from "./server_share.ts";
import { words } from "./words.ts";

const MEMBER = {
  name: "a:80",
  ip: "10.0.0.1",
  port: 80,
  own: {},
  state: "ready",
  isSpare: false,
  isFallback: false,
} as const;

Deno.test.each([
  { what: "nothing", more: {}, line: "server a  check # mine" },
  {
    what: "a weight",
    more: { weight: 3, own: { weight: 3 } },
    line: "server a  check weight 3 # lighthouse: weight=3",
  },
  {
    what: "drain, which keeps its weight for later",
    more: { weight: 3, own: { weight: 3, state: "drain" }, state: "drain" } as const,
    line: "server a  check weight 0 # lighthouse: weight=3 state=drain",
  },
  { what: "maint", more: { state: "maint" } as const, line: "server a  check disabled # lighthouse: state=maint" },
  {
    what: "overflow",
    more: { weight: 3, own: { weight: 3 }, isSpare: true },
    line: "server a  check weight 0 # lighthouse: weight=3 pool=overflow",
  },
  {
    what: "a drain that is the host's, and not the node's",
    more: { state: "drain" } as const,
    line: "server a  check weight 0 # lighthouse: drained",
  },
  {
    what: "the weight that stays, not the one of now, and keeps what the node says",
    more: { weight: 26, settledWeight: 256, own: { weight: 3 } },
    line: "server a  check weight 256 # lighthouse: weight=3 share=256",
  },
])("serverShare() writes $what", ({ more, line }) => {
  assert.equal(serverShare("server a  check # mine", { ...MEMBER, ...more }), line);
});

Deno.test("a node's own keys are read back from its line, and the host's decisions are not", () => {
  assert.deepEqual(readShare("server a  weight 5 # lighthouse: weight=3 state=drain"), { weight: 3, state: "drain" });
  assert.deepEqual(readShare("server a  weight 5 # weight=3"), {});
  assert.deepEqual(readShare("server a # lighthouse: weight=256"), { weight: 256 });
  assert.deepEqual(readShare("server a # lighthouse: weight=257 state=drain"), { state: "drain" });
  assert.deepEqual(readShare("server a  weight 0 # lighthouse: weight=3 share=256 drained"), { weight: 3 });
  assert.deepEqual(readShare("server a  disabled # lighthouse: state=maint pool=overflow"), {});
});

const weight = fc.option(fc.integer({ min: 0, max: 256 }), { nil: undefined });
const state = fc.constantFrom(undefined, "ready" as const, "drain" as const);

Deno.test("members keep weight and state from the file, whatever the operator's own options and comments are", () =>
  fc.assert(fc.property(
    weight,
    state,
    fc.constantFrom("", "check", "weight 7", "check # weight=9", "# lighthouse: weight=9 state=drain"),
    (weight, state, server_options) => {
      const node: Node = {
        host: "a.int",
        ip: "10.0.0.1",
        port: 80,
        metadata: {},
        ...weight !== undefined && { weight },
        ...state !== undefined && { state },
      };
      const wanted = wantedOf({ clusters: [{ name: "web", haproxy: { server_options }, nodes: [node] }] });
      const { text } = render(wanted);
      const [adopted] = adopt(text).get("web") ?? [];
      const isSaid = weight !== undefined || state === "drain";
      // An operator that writes our own comment gets it read back.
      if (isSaid || !server_options.startsWith("# lighthouse")) {
        assert.deepEqual([adopted?.weight, adopted?.state], [weight, state === "drain" ? "drain" : undefined]);
      }
      const line = text.split("\n").find((line) => line.startsWith("\tserver a.int:80")) ?? "";
      const said = words(line);
      if (state === "drain") assert.deepEqual(said.slice(-2), ["weight", "0"]);
      else if (weight !== undefined) assert.deepEqual(said.slice(-2), ["weight", String(weight)]);
    },
  )));
