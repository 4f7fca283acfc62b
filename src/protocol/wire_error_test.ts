import assert from "node:assert/strict";
import fc from "fast-check";
import { toWireError, WorkerError } from "./wire_error.ts";

class OwnError extends TypeError {
  override name = "OwnError";
}

/** An error with an invalid message. */
function spoilt(message: unknown): Error {
  return Object.defineProperty(new Error(), "message", { value: message });
}

const CASES: readonly {
  readonly why: string;
  readonly thrown: unknown;
  readonly name: string;
  readonly message: string;
}[] = [
  { why: "an error", thrown: new Error("no"), name: "Error", message: "no" },
  { why: "an own class", thrown: new OwnError("no"), name: "OwnError", message: "no" },
  { why: "one of the platform", thrown: new DOMException("no", "AbortError"), name: "AbortError", message: "no" },
  { why: "an error that says nothing", thrown: new OwnError(), name: "OwnError", message: "OwnError" },
  { why: "a string", thrown: "no", name: "NonError", message: "no" },
  { why: "nothing", thrown: undefined, name: "NonError", message: "undefined" },
  { why: "an object without a prototype", thrown: Object.create(null), name: "NonError", message: "{}" },
  { why: "50 MB of bytes", thrown: new Uint8Array(5e7), name: "NonError", message: "Uint8Array" },
  {
    why: "several errors",
    thrown: new AggregateError([new Error("a failed"), "b failed"]),
    name: "AggregateError",
    message: "a failed; b failed",
  },
  {
    why: "several errors with a message of their own",
    thrown: new AggregateError([new Error("a failed")], "all failed"),
    name: "AggregateError",
    message: "all failed; a failed",
  },
  {
    why: "an error with a nested cause",
    thrown: new TypeError("fetch failed", { cause: new Error("connect", { cause: "reset" }) }),
    name: "TypeError",
    message: "fetch failed: connect: reset",
  },
  {
    why: "an error that includes its cause",
    thrown: new Error("fetch failed: reset", { cause: new Error("reset") }),
    name: "Error",
    message: "fetch failed: reset",
  },
  { why: "a message that is a number", thrown: spoilt(5), name: "Error", message: "5" },
  { why: "a message that is nothing", thrown: spoilt(undefined), name: "Error", message: "Error" },
  {
    why: "a message that throws",
    thrown: spoilt({ toString: 1 }),
    name: "NonError",
    message: "error without a readable message",
  },
];

Deno.test.each(CASES)(
  "toWireError() reports $why",
  ({ thrown, name, message }) => assert.deepEqual(toWireError(thrown), { name, message }),
);

Deno.test("toWireError() never throws and is never long", () => {
  const long = toWireError(Object.assign(new Error("x".repeat(1e6)), { name: "y".repeat(1e6) }));
  assert.equal(long.message.length, 2_000);
  assert.equal(long.name.length, 100);
  const circle = new AggregateError([]);
  circle.errors.push(circle, circle);
  assert.equal(toWireError(circle).name, "AggregateError");
  const own = new Error("own");
  own.cause = own;
  assert.equal(toWireError(own).message, "own");
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withNullPrototype: true, maxDepth: 1 }), (thrown) => {
      for (const error of [toWireError(thrown), toWireError(spoilt(thrown))]) {
        assert.equal(typeof error.name, "string");
        assert.equal(typeof error.message, "string");
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("WorkerError keeps the class name that the error had in the worker", () => {
  const error = new WorkerError(toWireError(new OwnError("no")));
  assert.ok(error instanceof Error);
  assert.deepEqual([error.name, error.kind, error.message], ["WorkerError", "OwnError", "no"]);
});
