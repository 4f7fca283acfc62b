import type { CheckPlugin } from "../../../mod.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import type { NoopConfig } from "./config.ts";

/** The check `noop`; its keys are in the README beside this file. */
const noop: CheckPlugin<NoopConfig> = {
  kind: "check",
  apiVersion: 1,
  name: "noop",
  summary: "Always passes, or always fails if configured for a drill",
  stability: "stable",
  example: {},
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: () => ({}),
  probe({ status }) {
    return Promise.resolve(
      status === "pass"
        ? { status, detail: "Nothing probed" }
        : { status, reason: "Fails as configured (noop with status: fail)" },
    );
  },
};

export default noop;
