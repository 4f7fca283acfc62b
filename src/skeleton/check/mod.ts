/**
 * my_check: passes when the first line that the server says begins as expected.
 *
 * @module
 */
import type { CheckPlugin, SchemaIssue, SchemaResult } from "../../../mod.ts";

/** What a service file says under the name of this check, validated. */
export interface Config {
  /** What the first line of the server begins with. */
  readonly expect: string;
}

/** A greeting is no longer. */
const LINE_LENGTH_MAX = 1_000;

/** Says all that is wrong with a config at once, each with the path to it; never throws. */
function validate(value: unknown): SchemaResult<Config> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { issues: [{ message: "Cannot use the config as it must be a map" }] };
  }
  const { expect = "220 ", ...others } = value as Record<string, unknown>;
  const issues: SchemaIssue[] = Object.keys(others).map((key) => ({
    message: `Cannot use ${key} as this check does not know it`,
    path: [key],
    unknownKey: { known: ["expect"] },
  }));
  if (typeof expect === "string" && issues.length === 0) return { value: { expect } };
  if (typeof expect !== "string") {
    const message = `Cannot use expect as it must be a text: current value is ${JSON.stringify(expect)}`;
    issues.push({ message, path: ["expect"] });
  }
  return { issues };
}

/** Reads the first line that a server says; the connection is closed when the signal is aborted. */
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
  summary: "Passes when the server greets as expected",
  stability: "experimental",
  example: { expect: "220 " },
  config: { "~standard": { version: 1, vendor: "my_check", validate } },
  // All that it may ever touch: the address that it probes.
  permissions: (_config, { target }) => ({ net: target === undefined ? [] : [target] }),

  async probe({ expect }, { target, signal }) {
    try {
      const line = await readGreeting(target, signal);
      if (line.startsWith(expect)) return { status: "pass" };
      return {
        status: "fail",
        reason: `${target} greets with ${JSON.stringify(line)}: want ${JSON.stringify(expect)}`,
      };
    } catch (error) {
      // A throw is a failure, unless its cause is that this host has no open file or port left.
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot read a greeting from ${target}: ${message}`, { cause: error });
    }
  },
};

export default plugin;
