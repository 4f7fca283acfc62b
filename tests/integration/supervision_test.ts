import assert from "node:assert/strict";
import { Supervision } from "../../src/balance/supervision.ts";
import { eventually } from "../support/eventually.ts";
import { TempDir } from "../support/temp_dir.ts";

/** A signal that counts its listeners. */
class CountedSignal extends EventTarget {
  readonly aborted = false;
  listeners = 0;

  override addEventListener(...given: Parameters<EventTarget["addEventListener"]>): void {
    this.listeners++;
    super.addEventListener(...given);
  }

  override removeEventListener(...given: Parameters<EventTarget["removeEventListener"]>): void {
    this.listeners--;
    super.removeEventListener(...given);
  }
}

Deno.test("Supervision leaves no listener on the signal for a child that has ended", async () => {
  await using dir = new TempDir();
  using supervision = new Supervision();
  const signal = new CountedSignal();
  const children = [{ name: "short", pidFile: dir.file("short.pid") }];
  const sources = { kind: "files", file: dir.file("file"), reloadIntervalMs: 0, children } as const;
  for (let i = 0; i < 3; i++) {
    const ended = supervision.nextEnd(signal as unknown as AbortSignal);
    const step = { do: "supervise", name: "short", reason: "it is wanted", run: ["/bin/true"] } as const;
    await supervision.have(step, sources, AbortSignal.timeout(60_000));
    // A child does not keep the event loop alive; a poll does.
    let isOver = false;
    void ended.then(() => isOver = true);
    await eventually("its end is heard", () => isOver);
  }
  assert.equal(signal.listeners, 0);
});
