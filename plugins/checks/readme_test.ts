import assert from "node:assert/strict";
import { parse } from "yaml";
import { configured, issuesOf } from "../../tests/support/probe.ts";
import http from "./http/mod.ts";
import redis from "./redis/mod.ts";
import tcp from "./tcp/mod.ts";

/** The keys of a check that the host reads itself. */
const HOST_KEYS = ["fall", "host", "port", "rise", "timeout"];

Deno.test.each([http, redis, tcp].map((check) => ({ name: check.name, check })))(
  "README of $name: its examples are valid and its table has every key",
  async ({ name, check }) => {
    const readme = await Deno.readTextFile(new URL(`${name}/README.md`, import.meta.url));

    const examples = [...readme.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, yaml = ""]) => parse(yaml));
    assert.ok(examples.length >= 2);
    for (const service of examples) {
      const own = Object.entries(service.checks[name]).filter(([key]) => !HOST_KEYS.includes(key));
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
