import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import { SILENT } from "../kernel/logger.ts";
import { Announcement } from "./announcement.ts";
import type { Identity } from "./host_facts.ts";

const FULL: Identity = { facts: { fqdn: "web01.example.org", ip: "10.0.0.1" }, isProvisional: false };
const BARE: Identity = { facts: { fqdn: "web01", ip: "10.0.0.1" }, isProvisional: true };
const LOCAL: Identity = {
  facts: { fqdn: "localhost", ip: "10.0.0.1" },
  refusal: "localhost is everybody's name",
  isProvisional: true,
};

/** A host whose resolver answers `answer` from now on. */
class Stage implements Disposable {
  readonly clock = new FakeClock();
  readonly events: string[] = [];
  readonly signal = new AbortController().signal;
  asked = 0;
  changes = 0;
  readonly announcement: Announcement;

  constructor(public answer: Identity, { announces = true } = {}) {
    const say = (level: string) => (_text: string, properties?: Record<string, unknown>) =>
      void this.events.push(`${level} ${properties?.event}`);
    this.announcement = new Announcement({
      clock: this.clock,
      random: () => 1,
      log: { ...SILENT, info: say("info"), warn: say("warn"), error: say("error") },
      identify: () => {
        this.asked++;
        return Promise.resolve(this.answer);
      },
      announces,
      onChange: () => this.changes++,
    });
  }

  get name(): string | undefined {
    return this.announcement.announced?.fqdn;
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    for (let i = 0; i < 20; i++) await Promise.resolve();
  }

  [Symbol.dispose](): void {
    this.announcement[Symbol.dispose]();
  }
}

Deno.test("Announcement asks once if the name is fully qualified", async () => {
  using stage = new Stage(FULL);
  await stage.announcement.learn({}, stage.signal);
  await stage.pass(3_600_000);
  assert.deepEqual([stage.name, stage.asked, stage.events], ["web01.example.org", 1, ["info host.identity"]]);
});

Deno.test("Announcement uses the bare name with a warning, and asks until DNS returns the full one", async () => {
  using stage = new Stage(BARE);
  await stage.announcement.learn({}, stage.signal);
  assert.equal(stage.name, "web01");
  assert.deepEqual(stage.events, ["info host.identity", "warn host.provisional"]);
  for (let i = 0; i < 20; i++) await stage.pass(300_000);
  assert.ok(stage.asked >= 20, `${stage.asked} times`);
  assert.deepEqual([stage.events.length, stage.changes], [2, 0], "the same answer is no news");
  stage.answer = FULL;
  await stage.pass(300_000);
  assert.deepEqual([stage.name, stage.changes, stage.events.at(-1)], ["web01.example.org", 1, "info host.identity"]);
  const { asked } = stage;
  await stage.pass(3_600_000);
  assert.equal(stage.asked, asked);
});

Deno.test("Announcement announces nothing as localhost, and a later name from DNS at once", async () => {
  using stage = new Stage(LOCAL);
  await stage.announcement.learn({}, stage.signal);
  assert.equal(stage.name, undefined);
  assert.match(stage.announcement.refusal ?? "", /localhost/);
  assert.deepEqual(stage.events, ["error host.refused"]);
  stage.answer = FULL;
  await stage.pass(1_000);
  assert.deepEqual([stage.name, stage.announcement.refusal, stage.changes], ["web01.example.org", undefined, 1]);
});

Deno.test("Announcement keeps a full name when DNS is unreachable later", async () => {
  using stage = new Stage(FULL);
  await stage.announcement.learn({}, stage.signal);
  for (const worse of [BARE, LOCAL]) {
    stage.answer = worse;
    stage.announcement.askAgain();
    await stage.pass(0);
    assert.deepEqual([stage.name, stage.announcement.refusal, stage.changes], ["web01.example.org", undefined, 0]);
  }
});

Deno.test("Announcement keeps the last usable name when host.yaml leaves none", async () => {
  using stage = new Stage(FULL);
  await stage.announcement.learn({ name: "web01.example.org" }, stage.signal);
  stage.answer = LOCAL;
  await stage.announcement.learn({}, stage.signal);
  assert.equal(stage.name, "web01.example.org");
  assert.match(stage.announcement.refusal ?? "", /localhost/);
  stage.answer = BARE;
  await stage.announcement.learn({}, stage.signal);
  assert.deepEqual([stage.name, stage.announcement.refusal], ["web01", undefined]);
});

Deno.test("Announcement gives a writer its name, and never rejects", async () => {
  using stage = new Stage(LOCAL, { announces: false });
  await stage.announcement.learn({}, stage.signal);
  assert.equal(stage.announcement.facts?.fqdn, "localhost");
  assert.ok(!stage.events.includes("error host.refused"));
});
