import assert from "node:assert/strict";

import { fetchPlugin, locate, openPlugin } from "../../src/app/open_plugin.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import type { Logger } from "../../src/kernel/logger.ts";
import { systemRandom } from "../../src/kernel/random.ts";
import type { Allowance } from "../../src/model/allowance.ts";
import type { ProbeOutcome } from "../../src/plugin/contract.ts";
import { decide } from "../../src/plugin/policy.ts";
import { Describer } from "../../src/supervisor/describer.ts";
import { Fleet } from "../../src/supervisor/fleet.ts";
import type { WorkerEvent } from "../../src/supervisor/plugin_host.ts";
import type { PluginInstance } from "../../src/plugin/instance.ts";
import { groupInstances } from "../../src/supervisor/reconcile.ts";
import { isSilent, ScriptedServer } from "./scripted_server.ts";
import { TempDir } from "./temp_dir.ts";

/** The parts of an attacker: its code in each place that runs. It is a check in TypeScript. */
export interface Attacker {
  /** Code before the plugin. */
  readonly top?: string;
  /** The body of its `probe`. */
  readonly probe?: string;
  /** The result of its `permissions`. */
  readonly permissions?: string;
  /** The result of its `validate`. */
  readonly validate?: string;
  /** Additional members, or replacements. */
  readonly members?: string;
}

/** The source of an attacker's module. */
export function attackerText(
  {
    top = "",
    probe = `return { status: "pass" };`,
    permissions = "{ net: [target] }",
    validate = "{ value }",
    members = "",
  }: Attacker,
): string {
  return `${top}
const plugin: any = {
  kind: "check", apiVersion: 1, name: "attacker", summary: "Does no good", stability: "experimental", example: {},
  config: { "~standard": { version: 1, vendor: "attacker", validate: (value: any) => (${validate}) } },
  permissions: (config: any, { target }: any) => (${permissions}),
  async probe(config: any, { target, signal, log }: any) { ${probe} },
  ${members}
};
export default plugin;
`;
}

/** A fleet with a good check of a healthy service, beside which attackers run, loaded as the daemon loads them. */
export class Sandbox implements AsyncDisposable {
  /** The service whose address attackers may connect to. */
  readonly service: ScriptedServer = new ScriptedServer(isSilent);
  /** The directory of attackers. */
  readonly dir: TempDir = new TempDir("lighthouse-sandbox-");
  /** Lines of the fleet's log: level, message, properties. */
  readonly log: string[] = [];
  /** Why workers were out of service, by instance. */
  readonly downs: string[] = [];
  /** Unsolicited messages of workers. */
  readonly events: { readonly key: string; readonly event: WorkerEvent }[] = [];
  readonly #fleet: Fleet;
  readonly #good: PluginInstance;

  constructor({ isolation = "worker" }: { readonly isolation?: "worker" | "shared" } = {}) {
    this.isolation = isolation;
    const record = (level: string) => (message: string, properties: Record<string, unknown> = {}) =>
      void this.log.push(`${level} ${message} ${JSON.stringify(properties)}`);
    const log: Logger = { debug: record("debug"), info: record("info"), warn: record("warn"), error: record("error") };
    this.#fleet = new Fleet({
      clock: systemClock,
      random: systemRandom,
      log,
      // Shorter than the product's, but long enough that a working worker survives on a busy machine.
      heartbeat: { everyMs: 1_500, missesMax: 3 },
      events: {
        onEvent: (key, event) => void this.events.push({ key, event }),
        onReady() {},
        onDown: (key, reason) => void this.downs.push(`${key}: ${reason}`),
        onStuck() {},
      },
    });
    this.#good = {
      id: "check good",
      kind: "check",
      module: "builtin:check/tcp",
      config: {},
      scope: { instance: "check good", target: this.service.target },
      granted: { net: [this.service.target] },
    };
    this.#fleet.apply(groupInstances([this.#good], isolation));
  }

  /** How checks are placed in workers. */
  readonly isolation: "worker" | "shared";

  /** Loads an attacker and lets it probe; returns its outcome, or throws why it was rejected. */
  async attack(
    attacker: Attacker | string,
    { allow, config = {}, timeoutMs = 5_000 }: {
      readonly allow?: Allowance;
      readonly config?: unknown;
      readonly timeoutMs?: number;
    } = {},
  ): Promise<ProbeOutcome> {
    const text = typeof attacker === "string" ? attacker : attackerText(attacker);
    const path = await this.dir.write("attacker/mod.ts", text);
    const { signal } = new AbortController();
    const fetched = await fetchPlugin(locate(path, "/"), { clock: systemClock, signal });
    const label = "check/attacker";
    const { module } = await openPlugin(fetched, { clock: systemClock, kind: "check", label, signal });
    const scope = { instance: "check attacker", target: this.service.target };
    await using describer = new Describer({ clock: systemClock });
    const described = await describer.describe(module, config, scope);
    if (!described.ok) throw new Error(described.issues.map(({ message }) => message).join("; "));
    const source = { module, origin: "foreign", name: label, allow } as const;
    const grant = decide(described.permissions, { kind: "check", source, scope, config });
    if (!grant.ok) throw new Error(grant.reasons.join("; "));
    const instance: PluginInstance = {
      id: scope.instance,
      kind: "check",
      module,
      plugin: label,
      config: described.config,
      scope,
      granted: grant.granted,
    };
    this.#fleet.apply(groupInstances([this.#good, instance], this.isolation));
    return await this.probe(scope.instance, timeoutMs);
  }

  /** Lets a check probe. */
  async probe(id: string, timeoutMs = 5_000): Promise<ProbeOutcome> {
    const request = { type: "probe", instance: id, timeoutMs } as const;
    const answer = await this.#fleet.call(id, request, { deadlineMs: timeoutMs + 5_000 });
    assert.ok(answer.type === "outcome");
    return answer.outcome;
  }

  /** Fails unless the good check still works, in its original worker. */
  async goesOn(): Promise<void> {
    assert.equal((await this.probe("check good", 15_000)).status, "pass");
    assert.deepEqual(this.downs.filter((down) => /good|builtin/.test(down)), []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fleet[Symbol.asyncDispose]();
    await this.service[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}
