/**
 * What the `plugin` commands say of a plugin, line by line. Pure.
 *
 * @module
 */
import type { OpenPlugin } from "../app/open_plugin.ts";
import { allowanceFor, type RequestedPermissions } from "../app/requested_permissions.ts";
import { writeYaml } from "../config/plugins_file.ts";
import { escapeUnprintable } from "../kernel/quote.ts";
import type { Allowance } from "../model/allowance.ts";

/** Describes a plugin: what it is, where from, and its modules if it does not ship. */
export function describePlugin(
  name: string,
  { introduction, sha256, graph }: Pick<OpenPlugin, "introduction"> & Partial<Pick<OpenPlugin, "sha256" | "graph">>,
  { from }: { readonly from: string },
): readonly string[] {
  const { kind, name: own, summary, stability, apiVersion } = introduction;
  const called = own === name ? "" : `, which calls itself ${own}`;
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

/** Tells what a plugin asks for with its example config, and what to write if that is more than it is granted. */
export function describeRequested(
  { config, permissions, refusal }: RequestedPermissions,
  { example, allow }: { readonly example: unknown; readonly allow: Allowance | undefined },
): readonly string[] {
  const [which, ...block] = example === undefined
    ? ["With the config {}, as it gives no example,"]
    : ["With its example config", ...indent(writeYaml(config, { form: "block" }).split("\n"), 4)];
  if (refusal !== undefined) return escaped([which, ...block, `it does not say what it asks for: ${refusal}`]);
  const width = Math.max(0, ...permissions.map(({ entry }) => entry.length));
  const lines = permissions.map(({ access, entry, isGranted }) =>
    `    ${access.padEnd(5)}  ${entry.padEnd(width)}  ${isGranted ? "granted" : "NOT granted"}`
  );
  const asks = permissions.length === 0 ? ["it asks for no permission."] : ["it asks for", ...lines];
  if (permissions.every(({ isGranted }) => isGranted)) return escaped([which, ...block, ...asks]);
  const line = writeYaml(allowanceFor(permissions, allow), { form: "line" });
  return escaped([which, ...block, ...asks, "To grant all of that, write into its entry:", `    allow: ${line}`]);
}

/** Tells in which modules two versions differ: `+` is new, `-` is gone, `~` has changed. */
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
