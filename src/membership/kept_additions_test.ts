import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Addition } from "../model/addition.ts";
import { eventually } from "../../tests/support/eventually.ts";
import type { Disk } from "./disk.ts";
import { KeptAdditions } from "./kept_additions.ts";

class Memory implements Disk {
  readonly files = new Map<string, string>();
  read(path: string): Promise<string> {
    const text = this.files.get(path);
    return text === undefined ? Promise.reject(new Deno.errors.NotFound()) : Promise.resolve(text);
  }
  write(path: string, text: string): Promise<void> {
    this.files.set(path, text);
    return Promise.resolve();
  }
}

const node = (name: string, untilMs?: number): Addition => ({
  cluster: "web",
  kind: "nodes",
  name,
  value: { address: "10.0.0.1", port: 80 },
  ...untilMs !== undefined && { untilMs },
});

function bench(disk: Memory, path: string | null = "/state/additions") {
  const clock = new FakeClock();
  const events: unknown[] = [];
  const note = (_message: string, fields?: Readonly<Record<string, unknown>>) => void events.push(fields?.["event"]);
  const log: Logger = { debug: note, info: note, warn: note, error: note };
  let changes = 0;
  const kept = new KeptAdditions({
    clock,
    wallNow: () => clock.now(),
    log,
    path: path ?? undefined,
    disk,
    onChange: () => changes++,
  });
  return { clock, events, kept, changes: () => changes };
}

Deno.test("additions are kept in the file, replaced by name, and read again", async () => {
  const disk = new Memory();
  using before = bench(disk).kept;
  assert.equal(await before.put(node("a")), undefined);
  assert.deepEqual(await before.put(node("a", 9_000)), node("a"));
  await before.put(node("b"));
  assert.deepEqual(await before.remove(node("b")), node("b"));
  using after = bench(disk).kept;
  await after.read();
  assert.deepEqual(after.now, [node("a", 9_000)]);
});

Deno.test("an addition expires, and is not read again", async () => {
  const disk = new Memory();
  const { clock, kept, events, changes } = bench(disk);
  using _kept = kept;
  await kept.put(node("a", clock.now() + 5_000));
  await clock.advance(4_999);
  assert.deepEqual([kept.now.length, changes()], [1, 1]);
  await clock.advance(1);
  assert.deepEqual([kept.now.length, changes(), events], [0, 2, ["addition.expired"]]);
  await eventually("the file is without it", () => /\n\[\]\n?$/.test(disk.files.get("/state/additions") ?? ""));
});

Deno.test("a damaged file is reported, and nothing is taken from it", async () => {
  const disk = new Memory();
  disk.files.set("/state/additions", "lighthouse-additions-1 0\n[]\n");
  const { kept, events } = bench(disk);
  using _kept = kept;
  await kept.read();
  assert.deepEqual([kept.now, events], [[], ["addition.unusable"]]);
});

Deno.test("without a state directory additions are active, and reported as ending with the process", async () => {
  const { kept } = bench(new Memory(), null);
  using _kept = kept;
  await kept.put(node("a"));
  assert.equal(kept.now.length, 1);
  assert.match(kept.unkept ?? "", /STATE_DIRECTORY/);
});
