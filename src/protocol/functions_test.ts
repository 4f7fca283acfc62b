import assert from "node:assert/strict";
import type { DiscoverySession } from "../plugin/contract.ts";
import { encodeBalancerAnswer, lackingFunction, REQUIRED_FUNCTIONS, takeBalancerAnswer } from "./functions.ts";

const SESSION: DiscoverySession = { ended: new Promise(() => {}), [Symbol.asyncDispose]: () => Promise.resolve() };
const nothing = () => Promise.resolve();

Deno.test("lackingFunction() names the first function that a session lacks for its capabilities", () => {
  assert.equal(lackingFunction([], SESSION), undefined);
  assert.equal(lackingFunction(["watch"], SESSION), "watch");
  const writes = { ...SESSION, register: nothing, deregister: nothing };
  assert.equal(lackingFunction(["register"], writes), "deregisterOwn");
  assert.equal(lackingFunction(["register"], { ...writes, deregisterOwn: nothing }), undefined);
});

Deno.test("REQUIRED_FUNCTIONS has each function of a balancer's table that is not optional", () => {
  assert.deepEqual(REQUIRED_FUNCTIONS.balancer, ["sources", "pid", "observe", "adopt", "render", "plan"]);
});

Deno.test("takeBalancerAnswer() accepts what encodeBalancerAnswer() made, and no answer to an unknown function", () => {
  const members = new Map([["web", [{ host: "a", ip: "10.0.0.1", port: 80, metadata: {} }]]]);
  const encoded = encodeBalancerAnswer({ ask: "adopt", members });
  assert.deepEqual(takeBalancerAnswer(JSON.parse(JSON.stringify(encoded))), { ask: "adopt", members });
  for (const ask of ["permissions", "constructor", "__proto__", undefined, 1]) {
    assert.equal(takeBalancerAnswer({ ask }), undefined);
  }
});
