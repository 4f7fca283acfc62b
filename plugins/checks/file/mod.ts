import type { CheckPlugin, ProbeOutcome } from "../../../mod.ts";
import { quoteBytes } from "../connection.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import type { FileConfig } from "./config.ts";

/** Maximum size read of a flag file, for its reason. */
const REASON_BYTES_MAX = 4_096;

/** The check `file`; its keys are in the README beside this file. */
const file: CheckPlugin<FileConfig> = {
  kind: "check",
  apiVersion: 1,
  name: "file",
  summary: "Fails while a flag file exists or, if configured, while it is absent",
  stability: "stable",
  example: { path: "/etc/lighthouse/web.out" },
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: ({ path }) => ({ read: [path] }),
  async probe({ path, down_when }, { signal }): Promise<ProbeOutcome> {
    signal.throwIfAborted();
    const found = await look(path);
    signal.throwIfAborted();
    if ("unknown" in found) return { status: "unknown", reason: `Cannot read ${path}: ${found.unknown}` };
    if (found.exists === (down_when === "absent")) {
      return { status: "pass", detail: `${path} ${found.exists ? "exists" : "does not exist"}` };
    }
    if (!found.exists) return { status: "fail", reason: `${path} does not exist` };
    const reason = found.isFile ? await firstLine(path) : undefined;
    signal.throwIfAborted();
    return { status: "fail", reason: `${path} exists${reason === undefined ? "" : `: ${quoteBytes(reason)}`}` };
  },
};

export default file;

type Found = { readonly exists: boolean; readonly isFile: boolean } | { readonly unknown: string };

async function look(path: string): Promise<Found> {
  try {
    const { isFile } = await Deno.stat(path);
    return { exists: true, isFile };
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable || !(error instanceof Error)) throw error;
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return { exists: false, isFile: false };
    }
    return { unknown: error.message };
  }
}

/** The first line of the flag file; only a regular file is opened, since a pipe would block. */
async function firstLine(path: string): Promise<Uint8Array | undefined> {
  try {
    using opened = await Deno.open(path);
    const buffer = new Uint8Array(REASON_BYTES_MAX);
    const bytes = buffer.subarray(0, await opened.read(buffer) ?? 0);
    const end = bytes.findIndex((byte) => byte === 0x0a || byte === 0x0d);
    const line = end < 0 ? bytes : bytes.subarray(0, end);
    return line.length === 0 ? undefined : line;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    // The flag counts even if it cannot be read, or is gone by now.
    return undefined;
  }
}
