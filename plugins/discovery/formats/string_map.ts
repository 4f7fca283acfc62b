import type { Node } from "../../../mod.ts";
import { isRecord, isZone, WEIGHT_MAX } from "../../../src/model/node.ts";
import { numberOf } from "./format.ts";

/**
 * The weight and the zone of a node within a map of strings that other tools fill freely: values that are no
 * valid weight or zone are something else.
 */
export function optionsIn(map: unknown): Pick<Node, "weight" | "zone"> {
  if (!isRecord(map)) return {};
  const [weight, zone] = [numberOf(map.weight), map.zone];
  const isWeight = typeof weight === "number" && Number.isInteger(weight) && weight >= 0 && weight <= WEIGHT_MAX;
  return { ...isWeight && { weight }, ...isZone(zone) && { zone } };
}

/** The same as it is written. */
export function optionsOf({ weight, zone }: Node): { readonly [name: string]: string } {
  return { ...weight !== undefined && { weight: String(weight) }, ...zone !== undefined && { zone } };
}
