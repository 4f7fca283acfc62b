/**
 * The output of the `plugin` commands for one plugin, line by line. Pure.
 *
 * @module
 */
import type { OpenPlugin } from "../app/open_plugin.ts";
import { allowanceFor, type RequestedPermissions } from "../app/requested_permissions.ts";
import { writeYaml } from "../config/plugins_file.ts";
import { escapeUnprintable } from "../kernel/quote.ts";
import type { Allowance } from "../model/allowance.ts";

/** Describes a plugin: kind, source, and the modules of a third-party one. */
export function describePlugin(
  name: string,
  { introduction, sha256, graph }: Pick<OpenPlugin, "introduction"> & Partial<Pick<OpenPlugin, "sha256" | "graph">>,
  { from }: { readonly from: string },
): readonly string[] {
  const { kind, name: own, summary, stability, apiVersion } = introduction;
  const called = own === name ? "" : `, own name ${own}`;
  const modules = [...graph?.modules ?? []].toSorted(([a], [b]) => a < b ? -1 : 1);
  const width = Math.max(0, ...modules.map(([path]) => path.length));
  return [
    `${name}: a ${kind}, ${stability}${called}`,
    `  ${summary}`,
    "",
    `  from     ${from}`,
    ...sha256 === undefined ? [] : [`  sha256   ${sha256}`],
    `  API      version ${apiVersion}`,
    ...modules.map(([path, text], i) =>
      `  ${i === 0 ? "modules" : "       "}  ${path.padEnd(width)}  ${new TextEncoder().encode(text).length} bytes`
    ),
  ].map(escapeUnprintable);
}

/** Describes the permissions that a plugin requests with its example config, and how to grant those that are not granted. */
export function describeRequested(
  { config, permissions, refusal }: RequestedPermissions,
  { example, allow }: { readonly example: unknown; readonly allow: Allowance | undefined },
): readonly string[] {
  const [which, ...block] = example === undefined
    ? ["With the config {} (no example config)"]
    : ["With its example config", ...indent(writeYaml(config, { form: "block" }).split("\n"), 4)];
  if (refusal !== undefined) return escaped([which, ...block, `requested permissions unknown: ${refusal}`]);
  const width = Math.max(0, ...permissions.map(({ entry }) => entry.length));
  const lines = permissions.map(({ access, entry, isGranted }) =>
    `    ${access.padEnd(5)}  ${entry.padEnd(width)}  ${isGranted ? "granted" : "NOT granted"}`
  );
  const asks = permissions.length === 0 ? ["the plugin requests no permissions"] : ["the plugin requests", ...lines];
  if (permissions.every(({ isGranted }) => isGranted)) return escaped([which, ...block, ...asks]);
  const line = writeYaml(allowanceFor(permissions, allow), { form: "line" });
  return escaped([
    which,
    ...block,
    ...asks,
    "To grant all requested permissions, add to its entry in plugins.yaml:",
    `    allow: ${line}`,
  ]);
}

/** Lists the modules in which two versions differ: `+` added, `-` removed, `~` changed. */
export function describeChanges(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].toSorted();
  return paths.flatMap((path) => {
    if (!before.has(path)) return [`+ ${path}`];
    if (!after.has(path)) return [`- ${path}`];
    return before.get(path) === after.get(path) ? [] : [`~ ${path}`];
  }).map(escapeUnprintable);
}

/** Writes columns under one another. */
export function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows.reduce<number[]>(
    (widest, row) => row.map((cell, i) => Math.max(cell.length, widest[i] ?? 0)),
    [],
  );
  return rows.map((row) => escapeUnprintable(row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ").trimEnd()));
}

function indent(lines: readonly string[], by: number): readonly string[] {
  return lines.map((line) => `${" ".repeat(by)}${line}`);
}

function escaped(lines: readonly (string | undefined)[]): readonly string[] {
  return lines.map((line) => escapeUnprintable(line ?? ""));
}
