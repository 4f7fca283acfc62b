import assert from "node:assert/strict";
import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import { render } from "../../plugins/balancers/haproxy/render.ts";
import { wantedOf } from "../../tests/support/balancer_case.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { HaproxyModel } from "../../tests/support/haproxy_model.ts";
import { TempDir } from "../../tests/support/temp_dir.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { nodeName } from "../model/node.ts";
import { Store } from "../registry/store.ts";
import { LastKnown } from "./last_known.ts";

Deno.test("LastKnown adopts a member that runs and is not in the file yet", async () => {
  const wanted = wantedOf({
    balancer: { defaults: ["mode http"] },
    clusters: [{ name: "web", haproxy: {}, nodes: ["a.int:80 10.0.0.1"] }],
  });
  const model = new HaproxyModel();
  model.file = render(wanted).text;
  model.boot();
  model.command("add server web/b.int:80 10.0.0.2:80 id 7");
  model.command("enable server web/b.int:80");
  const store = new Store();
  const ignore = () => {};
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
  const disk = { read: () => Promise.resolve(model.file ?? ""), write: () => Promise.resolve() };
  await using known = new LastKnown({ store, clock: new FakeClock(), log, makeEffects: () => model, disk });
  const file = { name: "haproxy", type: "haproxy", config: {} };
  assert.equal(await known.adopt({ file, plugin: haproxy as never, config: wanted.config }, new Set(["web"])), true);
  assert.deepEqual(store.nodes("web")?.map(nodeName), ["a.int:80", "b.int:80"]);
});

Deno.test("LastKnown tells once that its file cannot be written, though the candidate has another name each time", async () => {
  const store = new Store();
  const warnings: string[] = [];
  const ignore = () => {};
  const log = { debug: ignore, info: ignore, warn: (text: string) => void warnings.push(text), error: ignore };
  const clock = new FakeClock();
  const disk = {
    read: () => Promise.reject(new Deno.errors.NotFound("not there")),
    write: (path: string) => Promise.reject(new Error(`Read-only: open '${path}.lighthouse-${crypto.randomUUID()}'`)),
  };
  {
    await using known = new LastKnown({ store, clock, log, makeEffects: () => new HaproxyModel(), disk });
    await known.at("/topology");
    store.adopt("web", []);
    known.note();
    clock.advance(1_000);
  }
  assert.equal(warnings.length, 1);
});

Deno.test("LastKnown writes its file once it can be written, though no members change meanwhile", async () => {
  const store = new Store();
  const told: string[] = [];
  const tell = (text: string) => void told.push(text);
  const log = { debug: tell, info: tell, warn: tell, error: tell };
  const clock = new FakeClock();
  let isFull = true;
  const written: string[] = [];
  const disk = {
    read: () => Promise.reject(new Deno.errors.NotFound("not there")),
    write(_: string, text: string) {
      if (isFull) return Promise.reject(new Error("No space left"));
      written.push(text);
      return Promise.resolve();
    },
  };
  await using known = new LastKnown({ store, clock, log, makeEffects: () => new HaproxyModel(), disk });
  await known.at("/topology");
  store.adopt("web", []);
  known.note();
  for (const full of [true, true, false]) {
    isFull = full;
    clock.advance(11_000);
    // What it writes is hashed first, which takes a turn of the event loop.
    await eventually(
      "it has tried",
      () => full ? told.length > 0 : told.includes("The last known members are written again"),
    );
  }
  assert.match(written[0] ?? "", /"web"/);
});

Deno.test("LastKnown goes without a file that is none, and says so", async () => {
  await using dir = new TempDir();
  await Deno.mkdir(dir.file("directory"));
  const ignore = () => {};
  for (const [name, told] of [["directory", ["it is no file"]], ["nothing", []]] as const) {
    const reasons: unknown[] = [];
    const warn = (_: string, properties?: { readonly reason?: unknown }) => void reasons.push(properties?.reason);
    const log = { debug: ignore, info: ignore, warn, error: ignore };
    const makeEffects = () => new HaproxyModel();
    await using known = new LastKnown({ store: new Store(), clock: new FakeClock(), log, makeEffects });
    await known.at(dir.file(name));
    assert.deepEqual(reasons, told, name);
  }
});
