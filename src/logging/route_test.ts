import assert from "node:assert/strict";
import { DEFAULT_LOGGING, type HandlerPlan, type LoggerPlan, type Logging } from "./plan.ts";
import { hasHandlers, loggerName, Route } from "./route.ts";

const handler: HandlerPlan = { level: 0, format: { format: "%(message)s" }, output: { to: "nowhere" } };

function logger(plan: Partial<LoggerPlan>): LoggerPlan {
  return { ...DEFAULT_LOGGING.root, ...plan };
}

function logging(file: Partial<Logging>): Logging {
  return { ...DEFAULT_LOGGING, handlers: { a: handler, b: handler }, ...file };
}

function route(file: Partial<Logging>): Route {
  return new Route(logging(file), { rootLevel: 30 });
}

Deno.test("Route asks the nearest logger that has a level", () => {
  const asked = route({
    root: logger({ level: 40 }),
    loggers: { lighthouse: logger({ level: 20 }), "lighthouse.writer": logger({ level: 0 }) },
  });
  assert.equal(asked.isEnabled("lighthouse.writer", 10), false);
  assert.equal(asked.isEnabled("lighthouse.writer", 20), true, "0 asks the logger above");
  assert.equal(asked.isEnabled("logtape.meta", 30), false);
  assert.equal(asked.isEnabled("logtape.meta", 40), true);
  assert.equal(route({}).isEnabled("lighthouse.app", 20), false, "the root's own level is what it is set to");
  assert.equal(route({ root: logger({ level: 0 }) }).isEnabled("lighthouse.app", 10), true);
});

Deno.test("Route collects handlers up to a logger that does not propagate, twice if they are named twice", () => {
  const asked = route({
    root: logger({ handlers: ["a"], propagate: false }),
    loggers: {
      lighthouse: logger({ handlers: ["a"] }),
      "lighthouse.writer": logger({ handlers: ["b"], propagate: false }),
      "lighthouse.app": logger({ propagate: false }),
    },
  });
  assert.deepEqual(asked.handlersOf("lighthouse.health", 20), ["a", "a"]);
  assert.deepEqual(asked.handlersOf("lighthouse.writer", 20), ["b"]);
  assert.deepEqual(asked.handlersOf("lighthouse.app", 20), undefined);
  assert.deepEqual(asked.handlersOf("other", 20), ["a"]);
});

Deno.test("Route respects the levels of handlers", () => {
  const asked = route({
    root: logger({ handlers: ["a", "b"] }),
    handlers: { a: { ...handler, level: 40 }, b: handler },
    loggers: { "lighthouse.health": logger({ handlers: ["a"], propagate: false }) },
  });
  assert.deepEqual(asked.handlersOf("lighthouse.writer", 20), ["b"]);
  assert.deepEqual(asked.handlersOf("lighthouse.writer", 40), ["a", "b"]);
  assert.deepEqual(asked.handlersOf("lighthouse.health", 20), [], "a handler was asked, so nobody else is");
});

Deno.test.each([
  ["lighthouse.haproxy", "lighthouse.writer"],
  ["lighthouse.haproxy.control", "lighthouse.writer"],
  ["lighthouse.configs.watcher", "lighthouse.config"],
  ["lighthouse.reporter", "lighthouse.registrar"],
  ["lighthouse.reporter", "lighthouse.health"],
  ["lighthouse.service", "lighthouse.health"],
  ["lighthouse.zookeeper", "lighthouse.discovery.zookeeper"],
  ["kazoo.client", "lighthouse.discovery.zookeeper"],
  ["lighthouse.redis.check", "lighthouse.checks.redis"],
  ["lighthouse.checks.http", "lighthouse.checks.http"],
  ["lighthouse.discovery", "lighthouse.discovery.zookeeper"],
  ["lighthouse", "lighthouse.fleet"],
])("Route maps 1.0's %s to %s", (name, own) => {
  const asked = route({ loggers: { [name]: logger({ level: 10 }) } });
  assert.equal(asked.isEnabled(own, 10), true);
  assert.equal(asked.isEnabled("lighthouse.app", 10), name === "lighthouse");
});

Deno.test("Route prefers our own name to one of 1.0's, and the general to the specific", () => {
  const asked = route({
    loggers: {
      "lighthouse.haproxy.control": logger({ level: 10 }),
      "lighthouse.haproxy": logger({ level: 20 }),
      "lighthouse.zookeeper": logger({ level: 10 }),
      "lighthouse.discovery.zookeeper": logger({ level: 40 }),
    },
  });
  assert.equal(asked.isEnabled("lighthouse.writer", 10), false);
  assert.equal(asked.isEnabled("lighthouse.writer", 20), true);
  assert.equal(asked.isEnabled("lighthouse.discovery.zookeeper", 30), false);
});

Deno.test("hasHandlers() returns whether any handler is configured", () => {
  assert.equal(hasHandlers(DEFAULT_LOGGING), false);
  assert.equal(hasHandlers(logging({})), false, "a handler that no logger has gets nothing");
  assert.equal(hasHandlers(logging({ loggers: { x: logger({ handlers: ["a"] }) } })), true);
});

Deno.test.each([
  [["lighthouse", "writer"], undefined, "lighthouse.writer"],
  [["lighthouse", "plugin"], "discovery zookeeper", "lighthouse.discovery.zookeeper"],
  [["lighthouse", "plugin"], "check web:8000/http", "lighthouse.checks.http"],
  [["lighthouse", "plugin"], "shared builtin:check/redis", "lighthouse.checks.redis"],
  [["lighthouse", "plugin"], "shared ", "lighthouse.checks.unnamed"],
])("loggerName() of %s from %s", (category, worker, wanted) => {
  assert.equal(loggerName(category, worker), wanted);
});
