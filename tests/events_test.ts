import assert from "node:assert/strict";
import { EVENTS } from "../src/logging/events.ts";
import { eventsPage } from "./support/events_page.ts";
import { findLogCalls, type LogCall } from "./support/log_calls.ts";

const ROOT = new URL("../", import.meta.url);

/** What runs as part of the product, or of what ships with it. */
const sources = ["src", "plugins", "workers"].flatMap((folder) => [...walk(`${folder}/`)])
  .filter((path) => path.endsWith(".ts") && !path.endsWith("_test.ts"))
  .filter((path) => !/^src\/(?:skeleton\/[a-z]+|packaging)\//.test(path));
const modules = sources.map((path) => findLogCalls(path, Deno.readTextFileSync(new URL(path, ROOT))));
const calls = modules.flatMap((module) => module.calls);

/** Fields that loggers add for those who log through them. */
const ADDED = new Set(["worker", "balancer"]);

function* walk(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
    if (isDirectory) yield* walk(`${folder}${name}/`);
    else yield `${folder}${name}`;
  }
}

/** Says what is wrong with a log call; nothing if it is as the table promises. */
function* faultsOf({ levels, events, fields, isPassedOn }: LogCall): Generator<string> {
  if (isPassedOn) return;
  if (events.size === 0) return yield "logs without an event";
  if (levels.size === 0) yield "logs at a level that cannot be read from the source";
  const unknown = [...events].filter((id) => !Object.hasOwn(EVENTS, id));
  if (unknown.length > 0) return yield `logs the unknown event ${unknown}`;
  const known = [...events].flatMap((id) => EVENTS[id] ?? []);
  const promised = new Set(known.flatMap(({ level, repeats }) => repeats ? [level, "debug"] : [level]));
  for (const level of levels) if (!promised.has(level as "info")) yield `logs ${[...events]} at ${level}`;
  const documented = new Set(known.flatMap((event) => event.fields));
  for (const field of fields) {
    if (!documented.has(field)) yield `logs ${[...events]} with the undocumented field ${field}`;
  }
}

Deno.test("every log call has an event of the table, at its level, with its fields", () => {
  assert.ok(calls.length > 50, "the log calls are found");
  const faults = calls.flatMap((call) => [...faultsOf(call)].map((fault) => `${call.where} ${fault}`));
  assert.deepEqual(faults, []);
});

Deno.test("a log call without event, with an unknown one, at another level or with another field is found", () => {
  const faults = (source: string) => findLogCalls("src/a.ts", source).calls.map((call) => [...faultsOf(call)].join());
  assert.deepEqual(faults(`this.#log.info("Starting");`), ["logs without an event"]);
  assert.deepEqual(faults(`log.part("app").info("Starting", { role });`), ["logs without an event"]);
  assert.deepEqual(faults(`log.info("Up", { event: "service.upp" });`), ["logs the unknown event service.upp"]);
  assert.deepEqual(faults(`options.log.warn("Up", { event: "service.up" });`), ["logs service.up at warn"]);
  assert.deepEqual(faults(`const at = { port }; log.info("Up", { event: "service.up", ...at });`), [
    "logs service.up with the undocumented field port",
  ]);
  assert.deepEqual(faults(`const level = again ? "debug" : "error"; log[level]("Up", { event: "check.unknown" });`), [
    "logs check.unknown at error",
  ]);
  assert.deepEqual(faults(`log.info(message, { ...properties, worker });`), [""]);
});

Deno.test("every event of the table is logged somewhere, with all of its fields", () => {
  const named = new Set(modules.flatMap((module) => [...module.named]));
  assert.deepEqual([...named].filter((id) => !Object.hasOwn(EVENTS, id)), [], "events that the table lacks");
  for (const [id, { fields }] of Object.entries(EVENTS)) {
    assert.ok(named.has(id), `${id} is logged nowhere`);
    const logged = new Set(calls.filter(({ events }) => events.has(id)).flatMap((call) => [...call.fields]));
    if (logged.size === 0) continue;
    assert.deepEqual(fields.filter((field) => !logged.has(field) && !ADDED.has(field)), [], `fields of ${id}`);
  }
});

Deno.test("ids are dotted lower-case names, and what resolves an event is an event of a quieter level", () => {
  for (const [id, { level, resolvedBy }] of Object.entries(EVENTS)) {
    assert.match(id, /^[a-z]+(?:_[a-z]+)*\.[a-z]+(?:_[a-z]+)*$/);
    if (resolvedBy === undefined) continue;
    for (const end of [resolvedBy].flat()) {
      assert.equal(EVENTS[end]?.level, "info", `${id} is resolved by ${end}`);
    }
    assert.ok(level !== "debug", `${id} is a state`);
  }
});

Deno.test("docs/events.md is made from the table", () => {
  const page = Deno.readTextFileSync(new URL("docs/events.md", ROOT));
  assert.equal(page, eventsPage(), "run: deno run --allow-write=docs tests/support/events_page.ts");
});

Deno.test("the events that docs/operations.md explains exist", () => {
  const page = Deno.readTextFileSync(new URL("docs/operations.md", ROOT));
  const table = /^## Log events$.*?(?=^## Status)/ms.exec(page)?.[0] ?? "";
  const cells = [...table.matchAll(/^\| (`[^|]+) \|/gm)].map(([, first = ""]) => first);
  const ids = cells.flatMap((cell) => [...cell.matchAll(/`([a-z_]+\.[a-z_]+)`/g)].map(([, id = ""]) => id));
  assert.ok(ids.length > 20 && ids.length >= cells.length, "each row names its event");
  assert.deepEqual(ids.filter((id) => !Object.hasOwn(EVENTS, id)), []);
});
