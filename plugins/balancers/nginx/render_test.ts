import assert from "node:assert/strict";
import fc from "fast-check";
import { parseNode } from "../../../src/model/node.ts";
import type { WantedNode } from "../../../mod.ts";
import { balancerSchema, clusterSchema } from "./config.ts";
import { adopt } from "./members.ts";
import { render } from "./render.ts";
import { hashIn } from "./status.ts";

const PLACES = { config_file: "/etc/nginx/l.conf", pid_file: "/run/nginx.pid", status_socket: "/run/l/nginx.sock" };

/** The value that a schema returns; `undefined` if the input is invalid. */
function valueOf<T>(
  schema: { readonly "~standard": { validate(value: unknown): object } },
  value: unknown,
): T | undefined {
  const result = schema["~standard"].validate(value);
  return "value" in result ? result.value as T : undefined;
}

/**
 * The directives of a config with their depth, without arguments, as nginx finds them: a reader for the whole
 * file, independent of the plugin's own.
 */
function skeleton(text: string): readonly string[] {
  const found: string[] = [];
  let depth = 0, words: string[] = [], word: string | undefined;
  let quote: string | undefined;
  const end = () => {
    if (word !== undefined) words.push(word);
    word = undefined;
  };
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (quote !== undefined) {
      if (char === "\\") at++;
      else if (char === quote) [quote, word] = [undefined, word ?? ""];
      continue;
    }
    if (char === "#" && word === undefined) {
      at = text.indexOf("\n", at);
      if (at < 0) break;
    } else if (/\s/.test(char)) end();
    else if (char === ";" || char === "{") {
      end();
      found.push(`${" ".repeat(depth)}${words[0]}`);
      if (char === "{") depth++;
      words = [];
    } else if (char === "}" && word === undefined) {
      depth--;
      assert(words.length === 0 && depth >= 0);
    } else if ((char === '"' || char === "'") && word === undefined) [quote, word] = [char, "quoted"];
    else {
      if (char === "\\" || (char === "$" && text[at + 1] === "{")) at++;
      word = `${word ?? ""}${char}`;
    }
  }
  assert.equal(depth, 0);
  return found;
}

function sceneOf(
  { name, shadow, route, location, host, cert, key, nodeHost, metadata }: Readonly<Record<string, string>>,
) {
  const config = valueOf<never>(balancerSchema, {
    ...PLACES,
    servers: {
      a: { listen: [80], hosts: [host], healthcheck_route: route, deny: [`${route}x`], tls: { cert, key: "/key" } },
    },
  });
  const web = valueOf<never>(clusterSchema, {
    server: "a",
    locations: ["/fixed", location],
    balance: `hash ${key}`,
    mirror: { cluster: shadow, percent: 10 },
  });
  const other = valueOf<never>(clusterSchema, {});
  const parsed = parseNode({ host: nodeHost, ip: "192.0.2.1", port: 80, metadata: { x: metadata } });
  if (config === undefined || web === undefined || other === undefined || !parsed.ok) return undefined;
  const nodes: readonly WantedNode[] = [{ node: parsed.node, state: "ready", pool: "primary" }];
  return {
    config,
    host: { fqdn: "lb.test", ip: "127.0.0.1" },
    clusters: [{ name: name ?? "", config: web, nodes }, { name: shadow ?? "", config: other, nodes }],
  };
}

const SAFE = {
  name: "web",
  shadow: "shadow",
  route: "/hc",
  location: "/z",
  host: "www.test",
  cert: "/c.pem",
  key: "$request_uri",
  nodeHost: "one.test",
  metadata: "x",
};

Deno.test("no name and no value that the schemas and the registry's guard accept changes the structure of the file", () => {
  const safe = skeleton(render(sceneOf(SAFE) ?? assert.fail()).text);
  const odd = fc.oneof(
    fc.string({ unit: "binary", minLength: 1 }),
    fc.array(
      fc.constantFrom("{", "}", ";", "#", '"', "'", "\\", "$", "${", "/", "a", "~", "=", "\n", "\u2028", " ", "*", "."),
      {
        minLength: 1,
        maxLength: 12,
      },
    ).map((parts) => parts.join("")),
  );
  const prefixed = (prefix: string) => odd.map((text) => prefix + text);
  let tried = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.keys(SAFE)),
      fc.oneof(odd, prefixed("/"), prefixed("~ "), prefixed("$"), prefixed("a")),
      (which, value) => {
        const wanted = sceneOf({ ...SAFE, [which]: value });
        if (wanted === undefined || wanted.clusters[0]?.name === wanted.clusters[1]?.name) return;
        tried++;
        const { text } = render(wanted);
        // A location that is taken already is left out, with its cluster's lines.
        const found = skeleton(text);
        const isShorter = found.length < safe.length && ["location", "route"].includes(which);
        if (!isShorter) assert.deepEqual(found, safe);
        assert(found.every((line) => safe.includes(line)));
      },
    ),
    { numRuns: 3_000 },
  );
  assert(tried > 300, `${tried} of 3,000 values were accepted`);
});

Deno.test("members and their own weights and states are read back, whatever the names of clusters are", () => {
  const names = fc.uniqueArray(fc.string({ unit: "binary", minLength: 1 }), { minLength: 1, maxLength: 4 });
  fc.assert(fc.property(names, (names) => {
    const config = valueOf<never>(balancerSchema, PLACES) ?? assert.fail();
    const section = valueOf<never>(clusterSchema, {}) ?? assert.fail();
    const node = { host: "one.test", ip: "2001:db8::1", port: 80, metadata: {}, weight: 7, state: "drain" as const };
    const far = { ...node, host: "far.test", ip: "192.0.2.7" };
    const nodes: readonly WantedNode[] = [
      { node, state: "drain", pool: "primary", weight: 7 },
      { node: far, state: "ready", pool: "primary", from: "far; #}\n" },
    ];
    const clusters = names.toSorted().map((name) => ({ name, config: section, nodes }));
    const { text } = render({ config, host: { fqdn: "lb.test", ip: "127.0.0.1" }, clusters });
    assert.deepEqual([...adopt(text)], clusters.map(({ name }) => [name, [node]]));
  }));
});

Deno.test("the hash covers each byte of the file but itself", () => {
  const wanted = sceneOf(SAFE) ?? assert.fail();
  const one = render(wanted).text;
  const other = render({ ...wanted, clusters: wanted.clusters.slice(1) }).text;
  assert.match(hashIn(one) ?? "", /^[0-9a-f]{16}$/);
  assert.notEqual(hashIn(one), hashIn(other));
  assert.equal(render(wanted).text, one);
});

Deno.test("a rejected line is left out, and the others keep their places", () => {
  const config = valueOf<never>(balancerSchema, {
    ...PLACES,
    http: ["one 1", "two 2"],
    servers: { a: { listen: [80], lines: ["x 1"] } },
  }) ??
    assert.fail();
  const { text, origins } = render({
    config,
    host: { fqdn: "lb.test", ip: "127.0.0.1" },
    clusters: [],
    leftOut: [{ path: ["http", 0] }, { path: ["servers", "a", "lines"] }],
  });
  assert.doesNotMatch(text, /one 1|x 1/);
  const at = text.split("\n").findIndex((line) => line.includes("two 2")) + 1;
  assert.deepEqual(origins.get(at), { path: ["http", 1] });
});
