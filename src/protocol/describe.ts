/**
 * A plugin's result for its part of the config. Run in a worker without
 * permissions, or in the host for a built-in plugin. Decides nothing.
 *
 * @module
 */
import type {
  BalancerPlugin,
  CheckPlugin,
  DiscoveryPlugin,
  NotifierPlugin,
  Schema,
  SchemaResult,
  Scope,
} from "../plugin/contract.ts";
import type { Described, SectionOf } from "../plugin/instance.ts";

// deno-lint-ignore no-explicit-any -- a plugin is used through its own validator, so its config type is opaque here.
type Any = any;
type AnyPlugin =
  | CheckPlugin<Any>
  | DiscoveryPlugin<Any, Any, Any>
  | BalancerPlugin<Any, Any, Any>
  | NotifierPlugin<Any>;

/** Lets a plugin validate a config, and name the permissions it needs. */
export async function describeConfig(plugin: AnyPlugin, raw: unknown, scope: Scope): Promise<Described> {
  const result = await plugin.config["~standard"].validate(raw);
  if (result.issues !== undefined) return { ok: false, issues: result.issues };
  const described = { ok: true, config: result.value, permissions: plugin.permissions(result.value, scope) } as const;
  if (plugin.kind !== "discovery") return described;
  const sections = (["cluster", "service"] as const).filter((of) => plugin[of] !== undefined);
  return { ...described, traits: { capabilities: plugin.capabilities, sections } };
}

/** Lets a plugin validate its section of a cluster's or a service's file. Throws if the plugin has none. */
export async function describeSection(plugin: AnyPlugin, of: SectionOf, raw: unknown): Promise<SchemaResult<unknown>> {
  const schema = (plugin as { readonly [of in SectionOf]?: Schema<unknown> | undefined })[of];
  if (schema === undefined) {
    throw new Error(`Cannot validate a section for a ${of}: the plugin defines no such section`);
  }
  return await schema["~standard"].validate(raw);
}
