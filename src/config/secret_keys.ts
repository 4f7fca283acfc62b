/**
 * Secrets that stand in files of their own: `password_file` beside `password`,
 * `token_file` beside `token`, and so for each key whose value is a secret or a
 * user's name. The host reads the file and hands the plugin the plain key, so
 * that no worker may read it. Pure: `secret_files.ts` reads.
 *
 * @module
 */
import { formatPath } from "../kernel/schema.ts";
import { isSecretKey, MASK } from "../kernel/secret.ts";
import { isRecord } from "../model/node.ts";
import type { Finding, Path } from "../kernel/findings.ts";

/** What was read of the files, by the path that the config gives. */
export type FileTexts = ReadonlyMap<string, FileText>;

/** One file: what it says, or why it cannot be used. */
export type FileText = { readonly text: string } | { readonly reason: string };

/** The same of files with secrets, without the line feed at their ends. */
export type SecretTexts = FileTexts;

/** The same of one of them. */
export type SecretText = FileText;

const SUFFIX = "_file";
/** Stands for a secret that cannot be read, so that the rest is judged all the same. */
const UNREAD = "unread";
/** Keys whose values are no secrets as a rule, and may be: the path of a webhook is. */
const NAME_KEYS = new Set(["username", "user", "path"]);

/** The key whose value a file holds; `undefined` if the key names no such file. */
function plainKey(key: string): string | undefined {
  const plain = key.endsWith(SUFFIX) ? key.slice(0, -SUFFIX.length) : "";
  return plain !== "" && (NAME_KEYS.has(plain) || isSecretKey(plain)) ? plain : undefined;
}

/** The keys that name a file with the value of one of these keys. */
export function fileKeysOf(known: readonly string[]): readonly string[] {
  return known.map((key) => `${key}${SUFFIX}`).filter((key) => !known.includes(key) && plainKey(key) !== undefined);
}

/** The files with secrets that a plugin's part of the config names. */
export function secretFilesIn(raw: unknown): readonly string[] {
  if (Array.isArray(raw)) return raw.flatMap(secretFilesIn);
  if (!isRecord(raw)) return [];
  return Object.entries(raw).flatMap(([key, value]) =>
    plainKey(key) !== undefined && typeof value === "string" ? [value] : secretFilesIn(value)
  );
}

/** A plugin's part of the config with its secrets in it. */
export interface WithSecrets {
  readonly value: unknown;
  readonly findings: readonly Finding[];
  /** Moves findings about a key that was filled in to the key that names the file. */
  readonly placed: (findings: readonly Finding[]) => readonly Finding[];
}

/** Puts secrets in the places of the keys that name their files. */
export function withSecrets(raw: unknown, texts: SecretTexts): WithSecrets {
  const findings: Finding[] = [];
  const filled = new Set<string>();
  const unread = new Set<string>();
  const fault = (path: Path, message: string) =>
    findings.push({ severity: "error", path, at: "value", message: `Cannot use ${formatPath(path)}: ${message}` });

  function fill(value: unknown, path: Path): unknown {
    if (Array.isArray(value)) return value.map((item, i) => fill(item, [...path, i]));
    if (!isRecord(value)) return value;
    const entries: [string, unknown][] = [];
    for (const [key, inner] of Object.entries(value)) {
      const plain = plainKey(key);
      const at = [...path, key];
      if (plain === undefined) {
        entries.push([key, fill(inner, at)]);
        continue;
      }
      const said = typeof inner === "string" ? texts.get(inner) : undefined;
      if (Object.hasOwn(value, plain)) {
        fault(at, `${plain} is also set; remove one of them`);
        continue;
      }
      if (said !== undefined && "text" in said) {
        entries.push([plain, said.text]);
        filled.add(JSON.stringify([...path, plain]));
        continue;
      }
      fault(at, said?.reason ?? `must be a file path; current value is ${MASK}`);
      entries.push([plain, UNREAD]);
      filled.add(JSON.stringify([...path, plain]));
      unread.add(JSON.stringify([...path, plain]));
    }
    return Object.fromEntries(entries);
  }

  const value = fill(raw, []);
  const placed = (found: readonly Finding[]) =>
    found.filter(({ path, at }) => at === "key" || !unread.has(JSON.stringify(path))).map((finding): Finding => {
      if (!filled.has(JSON.stringify(finding.path))) return finding;
      const key = `${finding.path.at(-1)}${SUFFIX}`;
      const message = finding.message.replace(formatPath(finding.path), formatPath([...finding.path.slice(0, -1), key]))
        .replace(/(?<=did you mean )(?!\w+_file\?$)(\w+)(?=\?$)/, `$1${SUFFIX}`)
        // A user's name that was put into a file is not shown either.
        .replace(/(current value is ).*/s, `$1${MASK}`);
      return { ...finding, path: [...finding.path.slice(0, -1), key], message };
    });
  return filled.size + findings.length === 0
    ? { value: raw, findings, placed: (found) => found }
    : { value, findings, placed };
}
