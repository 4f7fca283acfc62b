/**
 * Templates that stand in files of their own, beside the config. The host reads them and hands the plugin their texts:
 * `files[0].template` names the file, `files[0].text` is what it says. Pure: `secret_files.ts` reads.
 *
 * @module
 */
import type { Finding } from "../kernel/findings.ts";
import { formatPath } from "../kernel/schema.ts";
import { isRecord } from "../model/node.ts";
import type { PluginFile } from "./desired.ts";
import type { FileTexts } from "./secret_keys.ts";

/** The type of balancer whose files name templates. */
const TYPE = "template";

/** The templates that a balancer's file names. */
export function templateFilesOf({ type, config }: Pick<PluginFile, "type" | "config">): readonly string[] {
  return filesIn(type, config).flatMap((file) =>
    isRecord(file) && typeof file.template === "string" && file.template !== "" ? [file.template] : []
  );
}

/** Adds the texts of templates to a balancer's config. */
export function withTemplates(
  type: string,
  raw: unknown,
  texts: FileTexts,
): { readonly value: unknown; readonly findings: readonly Finding[] } {
  const files = filesIn(type, raw);
  if (files.length === 0 || !isRecord(raw)) return { value: raw, findings: [] };
  const findings: Finding[] = [];
  const filled = files.map((file, i) => {
    if (!isRecord(file) || typeof file.template !== "string" || Object.hasOwn(file, "text")) return file;
    const said = texts.get(file.template) ?? { reason: "must be a file path" };
    if ("text" in said) return { ...file, text: said.text };
    const path = ["files", i, "template"];
    const message = `Cannot use ${formatPath(path)}: ${said.reason}: ${file.template}`;
    findings.push({ severity: "error", path, at: "value", message });
    // The rest is judged all the same.
    return { ...file, text: "" };
  });
  return { value: { ...raw, files: filled }, findings };
}

function filesIn(type: string, raw: unknown): readonly unknown[] {
  return type === TYPE && isRecord(raw) && Array.isArray(raw.files) ? raw.files : [];
}
