import assert from "node:assert/strict";
import { parse } from "yaml";
import { configured, issuesOf } from "../../tests/support/probe.ts";
import dns from "./dns/mod.ts";
import exec from "./exec/mod.ts";
import file from "./file/mod.ts";
import grpc from "./grpc/mod.ts";
import http from "./http/mod.ts";
import noop from "./noop/mod.ts";
import postgres from "./postgres/mod.ts";
import redis from "./redis/mod.ts";
import tcp from "./tcp/mod.ts";

/** The keys of a check that the host reads itself. */
const HOST_KEYS = ["fall", "host", "port", "rise", "timeout"];
/** The key for the kind of a check with a name of its own. */
const KIND_KEY = "type";

Deno.test.each([dns, exec, file, grpc, http, noop, postgres, redis, tcp].map((check) => ({ name: check.name, check })))(
  "README of $name: its examples are valid and its table has every key",
  async ({ name, check }) => {
    const readme = await Deno.readTextFile(new URL(`${name}/README.md`, import.meta.url));

    const examples = [...readme.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, yaml = ""]) => parse(yaml));
    assert.ok(examples.length >= 2);
    for (const service of examples) {
      const [, raw] = Object.entries<Record<string, unknown>>(service.checks).find(([key, check]) =>
        (check.type ?? key) === name
      ) ?? assert.fail(`An example does not show ${name}`);
      const own = Object.entries(raw).filter(([key]) => key !== KIND_KEY && !HOST_KEYS.includes(key));
      await configured<unknown>(check, Object.fromEntries(own));
    }

    const [issue] = await issuesOf(check, { uri: "/", nobody: 1 });
    const issues = await issuesOf(check, { nobody: 1 });
    const known = [issue, ...issues].find((each) => each?.unknownKey !== undefined)?.unknownKey?.known ?? [];
    const documented = [...readme.matchAll(/^\| `([a-z_]+)`/gm)].map(([, key]) => key);
    assert.deepEqual(documented.toSorted(), [...known].toSorted());

    for (const heading of ["Keys", "Permissions", "Examples"]) assert.match(readme, new RegExp(`^## ${heading}$`, "m"));
    for (const key of HOST_KEYS) assert.match(readme, new RegExp(`\`${key}\``));
  },
);
