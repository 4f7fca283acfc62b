/**
 * my_check: passes when the server's first line begins as expected.
 *
 * @module
 */
import type { CheckPlugin, SchemaIssue, SchemaResult } from "../../../mod.ts";

/** The section of a service file with the name of this check, validated. */
export interface Config {
  /** The expected prefix of the server's first line. */
  readonly expect: string;
}

/** Maximum length of a greeting. */
const LINE_LENGTH_MAX = 1_000;

/** Returns all issues of a config at once, each with its path; never throws. */
function validate(value: unknown): SchemaResult<Config> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { issues: [{ message: "Cannot use the config: must be a map" }] };
  }
  const { expect = "220 ", ...others } = value as Record<string, unknown>;
  const issues: SchemaIssue[] = Object.keys(others).map((key) => ({
    message: `Cannot use ${key}: unknown key`,
    path: [key],
    unknownKey: { known: ["expect"] },
  }));
  if (typeof expect === "string" && issues.length === 0) return { value: { expect } };
  if (typeof expect !== "string") {
    const message = `Cannot use expect: must be a string; current value is ${JSON.stringify(expect)}`;
    issues.push({ message, path: ["expect"] });
  }
  return { issues };
}

/** Reads the server's first line; the connection is closed when the signal is aborted. */
async function readGreeting(target: string, signal: AbortSignal): Promise<string> {
  const colon = target.lastIndexOf(":");
  const hostname = target.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const connection = await Deno.connect({ hostname, port: Number(target.slice(colon + 1)) });
  const close = () => connection.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    signal.throwIfAborted();
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(LINE_LENGTH_MAX);
    let text = "";
    while (!text.includes("\n") && text.length < LINE_LENGTH_MAX) {
      const count = await connection.read(buffer);
      if (count === null) break;
      text += decoder.decode(buffer.subarray(0, count), { stream: true });
    }
    return text.split("\n", 1)[0]?.trimEnd() ?? "";
  } finally {
    signal.removeEventListener("abort", close);
    if (!signal.aborted) close();
  }
}

const plugin: CheckPlugin<Config> = {
  kind: "check",
  apiVersion: 1,
  name: "my_check",
  summary: "Passes when the server sends the expected greeting",
  stability: "experimental",
  example: { expect: "220 " },
  config: { "~standard": { version: 1, vendor: "my_check", validate } },
  // All that it may touch: the address that it probes.
  permissions: (_config, { target }) => ({ net: target === undefined ? [] : [target] }),

  async probe({ expect }, { target, signal }) {
    try {
      const line = await readGreeting(target, signal);
      if (line.startsWith(expect)) return { status: "pass" };
      return {
        status: "fail",
        reason: `greeting of ${target} is ${JSON.stringify(line)}, expected ${JSON.stringify(expect)}`,
      };
    } catch (error) {
      // A thrown error is a failure, unless this host has no open file or port left.
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot read a greeting from ${target}: ${message}`, { cause: error });
    }
  },
};

export default plugin;
