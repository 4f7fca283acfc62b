/**
 * What the schemas of several files have in common: names, ports and hosts,
 * and what is done with a value once it is read. Pure.
 *
 * @module
 */
import { converted, integer, matching } from "../kernel/schema.ts";
import { suggest } from "../kernel/suggest.ts";
import { isRecord } from "../model/node.ts";
import { isHostName, isIpv4, isIpv6 } from "../model/endpoint.ts";

/** A name becomes a path component in the registry and the name of a section: nothing that either could misread. */
const NAME = /^(?!\.{1,2}$)[A-Za-z0-9_.:-]{1,255}$/;

/** What {@linkcode isName} wants, for messages. */
export const NAME_WANTED = "a name of at most 255 letters, digits and _ . : -";

/** Whether a text can name a service, a cluster, a discovery or a balancer. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

/** A name, in a schema. */
export const name = () => matching(NAME, NAME_WANTED);

/** A port, in a schema. */
export const port = () => integer({ min: 1, max: 65_535 });

/** A host, in a schema. */
export const host = () => converted((value) => isHost(value) ? value : undefined, "a host name or an IP address");

/** Whether a value is a name or an address of a host. */
export function isHost(value: unknown): value is string {
  return typeof value === "string" && (isHostName(value) || isIpv4(value) || isIpv6(value));
}

/** The section of a plugin, in a schema; its keys are for the plugin to judge. */
export const SECTION = converted((value) => value === null ? {} : isRecord(value) ? value : undefined, "a map");

/** The names among these that a file has as keys, or that one of its keys may mean: what else could be there is no help. */
export function namesMeant(raw: unknown, names: readonly string[]): readonly string[] {
  const keys = isRecord(raw) ? Object.keys(raw) : [];
  return names.filter((name) => keys.some((key) => key === name || suggest(key, [name]) !== undefined));
}

/** Copies what of a map is wanted. */
export function pick(map: Record<string, unknown>, wanted: (key: string) => boolean): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).filter(([key]) => wanted(key)));
}

/** Freezes a value, and all that is in it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
