/**
 * Rules for every plugin, of any kind and author. A plugin
 * is tested through the very path that runs it: described without permissions,
 * checked by the policy, run in a worker with only the permissions it requested.
 *
 * @module
 */
import { systemClock } from "../kernel/clock.ts";
import { OWN_TARGET } from "../model/allowance.ts";
import type { PermissionRequest, SchemaResult, Scope } from "../plugin/contract.ts";
import { PLUGIN_API_VERSION } from "../plugin/contract.ts";
import { decide } from "../plugin/policy.ts";
import type { PluginKind, PluginSource } from "../plugin/source.ts";
import type { Described, SectionOf } from "../plugin/instance.ts";
import { Describer } from "../supervisor/describer.ts";
import { toDenoPermissions } from "../supervisor/permissions.ts";
import { PluginHost, type WorkerEvent } from "../supervisor/plugin_host.ts";
import { must, type Rule } from "./rule.ts";

/** What is said of every plugin under test. */
export interface Subject {
  /** The module that a worker loads: `builtin:kind/name` or a `data:` URL. */
  readonly source: PluginSource;
  /** The name that the plugin bears. */
  readonly name: string;
  /** After an abort, everything must be closed within so long; 200 ms unless told. */
  readonly stopWithinMs?: number | undefined;
}

/** How long a plugin may take to stop: an operator's restart waits for it. */
export const STOP_WITHIN_MS = 200;
/** How long an answer of a worker is waited for. */
export const WAIT = { deadlineMs: 20_000 };

/** A key that no plugin knows. */
const UNKNOWN_KEY = "unknown_key";

/** The rules that all kinds share; `config` is one that the plugin takes. */
export function pluginRules(
  kind: PluginKind,
  { source, name }: Subject,
  { scope, config }: { readonly scope: Scope; readonly config: () => unknown | Promise<unknown> },
): readonly Rule[] {
  return [
    {
      title: "loads without permissions, and identifies itself",
      async run() {
        await using host = new PluginHost({ name, module: source.module, permissions: "none", clock: systemClock });
        const said = await host.loaded();
        must(said.kind === kind, `the kind is ${said.kind}: expected ${kind}`);
        must(said.name === name, `the name is ${said.name}: expected ${name}`);
        must(
          said.apiVersion === PLUGIN_API_VERSION,
          `the API version is ${said.apiVersion}: expected ${PLUGIN_API_VERSION}`,
        );
        must(/^[a-z][a-z0-9_]*$/.test(name), `the name is ${name}: expected lower snake case`);
      },
    },
    {
      title: "is described the same each time in a worker without permissions, and requests only narrow permissions",
      async run() {
        const raw = await config();
        const first = await describe(source, raw, scope);
        must(first.ok, `the example config is rejected: ${faultsOf(first)}`);
        const second = await describe(source, raw, scope);
        must(JSON.stringify(second) === JSON.stringify(first), "a second description differs");
        const { permissions } = first;
        // Its requests may exceed the grants here; only their narrowness counts.
        const grant = decide(permissions, { kind, source: { ...source, allow: permissions }, scope, config: raw });
        must(grant.ok, grant.ok ? "" : grant.reasons.join("; "));
        return `requests ${listed(permissions, scope)}`;
      },
    },
    {
      title: "reports an unknown key with its path, and the known keys",
      async run() {
        const described = await describe(source, { ...await config() as object, [UNKNOWN_KEY]: 1 }, scope);
        must(!described.ok, `the unknown key ${UNKNOWN_KEY} is accepted: expected an issue with unknownKey`);
        const issue = described.issues.find((each) => each.unknownKey !== undefined);
        must(issue !== undefined, `no issue has unknownKey: ${faultsOf(described)}`);
        must(
          JSON.stringify(issue.path) === JSON.stringify([UNKNOWN_KEY]),
          `the path of the issue is ${JSON.stringify(issue.path)}: expected ["${UNKNOWN_KEY}"]`,
        );
        must(issue.message.includes(UNKNOWN_KEY), `the message does not name the key: ${issue.message}`);
      },
    },
    {
      title: "rejects a config that is not a map, without throwing",
      async run() {
        for (const raw of [null, undefined, 1, true, "text", ["list"]]) {
          const described = await describe(source, raw, scope);
          must(!described.ok, `${JSON.stringify(raw)} is accepted as config`);
          const thrown = described.issues.find(({ message }) => message.startsWith("Cannot use the plugin"));
          must(thrown === undefined, `validation throws for ${JSON.stringify(raw)}: ${thrown?.message}`);
        }
      },
    },
  ];
}

/** Asks a plugin in a worker without permissions what it makes of a config. */
export async function describe(source: PluginSource, raw: unknown, scope: Scope): Promise<Described> {
  await using describer = new Describer({ clock: systemClock });
  return await describer.describe(source.module, raw, scope);
}

/** Asks a plugin in a worker without permissions what it makes of a section of a cluster's or a service's file. */
export async function describeSection(
  source: PluginSource,
  of: SectionOf,
  raw: unknown,
): Promise<SchemaResult<unknown>> {
  await using describer = new Describer({ clock: systemClock });
  return await describer.describeSection(source.module, of, raw);
}

/** A worker with a started instance, and what it said. */
export interface Started extends AsyncDisposable {
  readonly host: PluginHost;
  readonly events: readonly WorkerEvent[];
}

/** Starts an instance in a worker that may do what the plugin asked for, and nothing else. */
export async function start(subject: Subject, raw: unknown, scope: Scope): Promise<Started> {
  const described = await describe(subject.source, raw, scope);
  must(described.ok, `the example config is rejected: ${faultsOf(described)}`);
  const events: WorkerEvent[] = [];
  await using stack = new AsyncDisposableStack();
  const host = stack.use(
    new PluginHost({
      name: scope.instance,
      module: subject.source.module,
      permissions: toDenoPermissions(described.permissions),
      clock: systemClock,
      onEvent: (event) => events.push(event),
    }),
  );
  await host.loaded();
  await host.call({ type: "start", instance: scope.instance, config: described.config, scope }, WAIT);
  const owned = stack.move();
  return { host, events, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Stops a worker in order; answers how long it took, much more than it may if it had to be cut. */
export async function timeStop({ host }: Started, limitMs: number): Promise<number> {
  const began = performance.now();
  await host.stop({ graceMs: 2 * limitMs });
  return performance.now() - began;
}

function faultsOf(described: Described): string {
  return described.ok ? "" : described.issues.map(({ message }) => message).join("; ");
}

function listed(permissions: PermissionRequest, { target }: Scope): string {
  const word = (entry: string) => entry === target ? OWN_TARGET : entry;
  const all = Object.entries<readonly string[]>({ ...permissions }).flatMap(([access, entries]) =>
    entries.map((each) => `${access} ${word(each)}`)
  );
  return all.length === 0 ? "no permission" : all.join(", ");
}
