import { isRecord } from "../src/model/node.ts";
import { PLUGIN_API_VERSION } from "../src/plugin/contract.ts";
import { CAPABILITIES, REQUIRED_FUNCTIONS } from "../src/protocol/functions.ts";

/**
 * Returns why a module's default export is not a plugin, or `undefined` if it looks like one. For
 * another API version only the version is checked: the host rejects it.
 */
export function shapeFault(value: unknown): string | undefined {
  if (value === undefined) return "the module has no default export";
  if (!isRecord(value)) return "the default export must be an object";
  const { kind, apiVersion, config } = value;
  if (typeof kind !== "string" || !Object.hasOwn(REQUIRED_FUNCTIONS, kind)) {
    return `kind must be one of ${Object.keys(REQUIRED_FUNCTIONS).join(", ")}`;
  }
  if (typeof apiVersion !== "number") return "apiVersion must be a number";
  if (apiVersion !== PLUGIN_API_VERSION) return undefined;
  for (const key of ["name", "summary", "stability"]) {
    if (typeof value[key] !== "string") return `${key} must be a string`;
  }
  if (!isSchema(config)) return "config must be a Standard Schema";
  if (kind === "balancer" && !isSchema(value.cluster)) return "cluster must be a Standard Schema";
  const lacks = ["permissions", ...REQUIRED_FUNCTIONS[kind as keyof typeof REQUIRED_FUNCTIONS]].find((key) =>
    typeof value[key] !== "function"
  );
  if (lacks !== undefined) return `missing function ${lacks}()`;
  if (kind === "discovery") {
    const { capabilities } = value;
    if (!Array.isArray(capabilities) || !capabilities.every((each) => CAPABILITIES.includes(each))) {
      return `capabilities must be a list that contains only ${CAPABILITIES.join(", ")}`;
    }
    for (const key of ["cluster", "service"]) {
      if (value[key] !== undefined && !isSchema(value[key])) return `${key} must be a Standard Schema`;
    }
  }
  return undefined;
}

function isSchema(value: unknown): boolean {
  const standard = isRecord(value) ? value["~standard"] : undefined;
  return isRecord(standard) && typeof standard.validate === "function";
}
