import { isRecord } from "../src/model/node.ts";
import { PLUGIN_API_VERSION } from "../src/plugin/contract.ts";
import { CAPABILITIES, REQUIRED_FUNCTIONS } from "../src/protocol/functions.ts";

/**
 * Says why a module's default export is no plugin, or `undefined` if it looks
 * like one. Of one for another API version only the version is looked at: its
 * host has to refuse it for that.
 */
export function shapeFault(value: unknown): string | undefined {
  if (value === undefined) return "it has no default export";
  if (!isRecord(value)) return "its default export is no object";
  const { kind, apiVersion, config } = value;
  if (typeof kind !== "string" || !Object.hasOwn(REQUIRED_FUNCTIONS, kind)) {
    return `its kind is none of ${Object.keys(REQUIRED_FUNCTIONS).join(", ")}`;
  }
  if (typeof apiVersion !== "number") return "its apiVersion is no number";
  if (apiVersion !== PLUGIN_API_VERSION) return undefined;
  for (const key of ["name", "summary", "stability"]) {
    if (typeof value[key] !== "string") return `its ${key} is no text`;
  }
  if (!isSchema(config)) return "its config is no Standard Schema";
  if (kind === "balancer" && !isSchema(value.cluster)) return "its cluster is no Standard Schema";
  const lacks = ["permissions", ...REQUIRED_FUNCTIONS[kind as keyof typeof REQUIRED_FUNCTIONS]].find((key) =>
    typeof value[key] !== "function"
  );
  if (lacks !== undefined) return `it has no function ${lacks}()`;
  if (kind === "discovery") {
    const { capabilities } = value;
    if (!Array.isArray(capabilities) || !capabilities.every((each) => CAPABILITIES.includes(each))) {
      return `its capabilities are no list of ${CAPABILITIES.join(", ")}`;
    }
    for (const key of ["cluster", "service"]) {
      if (value[key] !== undefined && !isSchema(value[key])) return `its ${key} is no Standard Schema`;
    }
  }
  return undefined;
}

function isSchema(value: unknown): boolean {
  const standard = isRecord(value) ? value["~standard"] : undefined;
  return isRecord(standard) && typeof standard.validate === "function";
}
