import { systemClock } from "../kernel/clock.ts";
import { type Allowance, NAME_SERVERS, OWN_CONFIG, OWN_TARGET } from "../model/allowance.ts";
import type { PermissionRequest, Scope } from "../plugin/contract.ts";
import { addressesIn, decide } from "../plugin/policy.ts";
import type { PluginKind, PluginSource } from "../plugin/source.ts";
import type { Introduction } from "../protocol/messages.ts";
import { Describer } from "../supervisor/describer.ts";

/** An address for documentation (RFC 5737) that stands for a check's target when there is none yet. */
const SAMPLE_TARGET = "192.0.2.1:80";

/** The same for a name server. */
const SAMPLE_NAME_SERVER = "192.0.2.53:53";

/** One thing that a plugin asks for. */
export interface RequestedPermission {
  /** What kind of permission it is. */
  readonly access: keyof PermissionRequest;
  /** What is asked for, as `allow` would grant it: a check's own target is `{target}`. */
  readonly entry: string;
  /** Whether it is granted as things stand. */
  readonly isGranted: boolean;
}

/** What a plugin asks for with one config. */
export interface RequestedPermissions {
  /** The config: the plugin's example, or `{}`. */
  readonly config: unknown;
  /** What it asks for. */
  readonly permissions: readonly RequestedPermission[];
  /** Why it is unknown: the plugin rejects the config. */
  readonly refusal?: string | undefined;
}

/** Asks a plugin, in a worker without permissions, what it wants to be granted with the example config that it gives. */
export async function requestedPermissionsOf(
  { kind, source, example }: {
    readonly kind: PluginKind;
    readonly source: PluginSource;
    readonly example: unknown;
  },
): Promise<RequestedPermissions> {
  const config = example ?? {};
  const scope: Scope = kind === "check"
    ? { instance: "example", target: SAMPLE_TARGET }
    : { instance: "example", nameServers: [SAMPLE_NAME_SERVER], searchDomains: [], ndots: 1 };
  await using describer = new Describer({ clock: systemClock });
  const described = await describer.describe(source.module, config, scope);
  if (!described.ok) return { config, permissions: [], refusal: described.issues[0]?.message ?? "no reason given" };
  const permissions = (["net", "read", "write", "env", "run"] as const).flatMap((access) =>
    (described.permissions[access] ?? []).map((entry): RequestedPermission => ({
      access,
      entry: access === "net" ? placeholderOf(entry, kind, config) : entry,
      isGranted: decide({ [access]: [entry] }, { kind, source, scope, config }).ok,
    }))
  );
  return { config, permissions };
}

/** The grant that would cover requested permissions, with what is allowed already: what an operator may write as `allow`. */
export function allowanceFor(requested: readonly RequestedPermission[], allow: Allowance | undefined): Allowance {
  const all = new Map<string, Set<string>>(
    Object.entries(allow ?? {}).map(([access, entries]) => [access, new Set(entries)]),
  );
  for (const { access, entry } of requested) all.set(access, (all.get(access) ?? new Set()).add(entry));
  return Object.fromEntries([...all].map(([access, entries]) => [access, [...entries]]));
}

function placeholderOf(entry: string, kind: PluginKind, config: unknown): string {
  if (kind === "check") return entry === SAMPLE_TARGET ? OWN_TARGET : entry;
  if (entry === SAMPLE_NAME_SERVER) return NAME_SERVERS;
  return addressesIn(config).has(entry) ? OWN_CONFIG : entry;
}

/** Asks plugins that ship what they are, in the order given. */
export async function introduceAll(modules: readonly string[]): Promise<readonly Introduction[]> {
  await using describer = new Describer({ clock: systemClock });
  return await Promise.all(modules.map((module) => describer.introduce(module)));
}
