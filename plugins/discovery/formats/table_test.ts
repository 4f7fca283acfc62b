import assert from "node:assert/strict";
import fc from "fast-check";
import type { Node } from "../../../mod.ts";
import { FORMAT_NAMES, formatIn, type FormatName, FORMATS, type FormatSection } from "./table.ts";

const FIELDS = { ip: "addr", port: "port", weight: "w", zone: "az", state: "s" };

function read(section: FormatSection, value: unknown, name = "anything") {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return formatIn(section, "web").read(name, new TextEncoder().encode(text));
}

/** An entry of nerve in the name of its znode, as `use_path_encoding` makes it. */
function encodedName(value: unknown, sequence = "_0000000007"): string {
  const text = new TextEncoder().encode(JSON.stringify(value)).toBase64({ alphabet: "base64url" });
  return `base64_${text.length}_${text}${sequence}`;
}

const ALIVE = { status: "ALIVE", serviceEndpoint: { host: "10.0.0.5", port: 80 }, additionalEndpoints: {}, shard: 3 };
const MORE = { ...ALIVE, additionalEndpoints: { http: { host: "10.0.0.6", port: 81 }, bad: { port: "x" } } };
const CURATOR = { name: "web", id: "4d1e", address: "10.0.0.5", port: 80, sslPort: null, payload: null };
const spring = (metadata: unknown) => ({ ...CURATOR, payload: { "@class": "X", id: "a", metadata } });
const NERVE = { host: "10.0.0.5", port: 80, name: "i-1" };
const named = { metadata: { name: "i-1" } };

const READ: readonly {
  readonly why: string;
  readonly section: FormatSection;
  readonly value: unknown;
  readonly name?: string;
  readonly wanted?: Partial<Node>;
}[] = [
  { why: "an address", section: { format: "address" }, value: "10.0.0.5:80" },
  {
    why: "an address between spaces",
    section: { format: "address" },
    value: " [::1]:80\n",
    wanted: { ip: "::1", host: "::1" },
  },
  { why: "an address with the section's port", section: { format: "address", port: 80 }, value: "10.0.0.5" },
  { why: "an address with a port of its own", section: { format: "address", port: 81 }, value: "10.0.0.5:80" },
  { why: "a key", section: { format: "key", port: 80 }, value: "", name: "10.0.0.5" },
  { why: "a key with a port of its own", section: { format: "key" }, value: "up", name: "10.0.0.5:80" },
  {
    why: "a key of IPv6",
    section: { format: "key", port: 80 },
    value: "up",
    name: "::1",
    wanted: { ip: "::1", host: "::1" },
  },
  { why: "nerve", section: { format: "nerve" }, value: NERVE, name: "i-1_0000000001", wanted: named },
  { why: "nerve in a plain znode", section: { format: "nerve" }, value: NERVE, name: "i-1_", wanted: named },
  { why: "nerve in a name", section: { format: "nerve" }, value: "", name: encodedName(NERVE), wanted: named },
  {
    why: "nerve in a plain name",
    section: { format: "nerve" },
    value: "",
    name: encodedName(NERVE, "_"),
    wanted: named,
  },
  {
    why: "nerve's weight",
    section: { format: "nerve" },
    value: { ...NERVE, weight: 50 },
    wanted: { ...named, weight: 50 },
  },
  {
    why: "nerve's weight in digits",
    section: { format: "nerve" },
    value: { ...NERVE, weight: "50" },
    wanted: { ...named, weight: 50 },
  },
  {
    why: "nerve's weight of 0",
    section: { format: "nerve" },
    value: { ...NERVE, weight: 0 },
    wanted: { ...named, state: "drain" },
  },
  {
    why: "nerve's labels",
    section: { format: "nerve" },
    value: { ...NERVE, labels: { b: 1, a: "x", c: true } },
    wanted: { ...named, labels: { a: "x", b: "1", c: "true" } },
  },
  {
    why: "the words of nerve's server options that are allowed",
    section: { format: "nerve" },
    value: { ...NERVE, haproxy_server_options: "check inter 2s weight 7 backup\n server evil 1.2.3.4:80 maxconn 1" },
    wanted: { ...named, weight: 7, priority: 1 },
  },
  {
    why: "nerve's weight before that of its options",
    section: { format: "nerve" },
    value: { ...NERVE, weight: 9, haproxy_server_options: "weight 7" },
    wanted: { ...named, weight: 9 },
  },
  {
    why: "nerve's disabled server",
    section: { format: "nerve" },
    value: { ...NERVE, haproxy_server_options: "disabled" },
    wanted: { ...named, state: "drain" },
  },
  {
    why: "nerve's server options of another type",
    section: { format: "nerve" },
    value: { ...NERVE, haproxy_server_options: ["backup"] },
    wanted: named,
  },
  { why: "a serverset", section: { format: "serverset" }, value: ALIVE, wanted: { metadata: { shard: 3 } } },
  {
    why: "a serverset without a status",
    section: { format: "serverset" },
    value: { serviceEndpoint: ALIVE.serviceEndpoint },
  },
  {
    why: "a serverset that stops",
    section: { format: "serverset" },
    value: { ...ALIVE, status: "STOPPING" },
    wanted: { state: "drain", metadata: { shard: 3 } },
  },
  {
    why: "a serverset's ports",
    section: { format: "serverset" },
    value: MORE,
    wanted: { metadata: { ports: { http: 81 }, shard: 3 } },
  },
  {
    why: "a serverset's other endpoint",
    section: { format: "serverset", endpoint: "http", shard: 3 },
    value: MORE,
    wanted: { ip: "10.0.0.6", host: "10.0.0.6", port: 81, metadata: { ports: { http: 81 }, shard: 3 } },
  },
  {
    why: "a serverset's weight and zone",
    section: { format: "serverset" },
    value: { ...ALIVE, metadata: { weight: "50", zone: "eu-1a", other: "x" } },
    wanted: { weight: 50, zone: "eu-1a", metadata: { shard: 3 } },
  },
  {
    why: "what is no weight in a serverset's metadata",
    section: { format: "serverset" },
    value: { ...ALIVE, metadata: { weight: "heavy", zone: "a b" } },
    wanted: { metadata: { shard: 3 } },
  },
  { why: "Curator's", section: { format: "curator" }, value: CURATOR },
  { why: "Curator's TLS port", section: { format: "curator" }, value: { ...CURATOR, port: null, sslPort: 80 } },
  {
    why: "a disabled one of Curator's",
    section: { format: "curator" },
    value: { ...CURATOR, enabled: false },
    wanted: { state: "drain" },
  },
  {
    why: "Spring's",
    section: { format: "curator" },
    value: spring({ instance_status: "up", weight: "7", zone: "a" }),
    wanted: { weight: 7, zone: "a" },
  },
  {
    why: "Spring's out of service",
    section: { format: "curator" },
    value: spring({ instance_status: "OUT_OF_SERVICE" }),
    wanted: { state: "drain" },
  },
  {
    why: "a Mesos master",
    section: { format: "mesos-master" },
    value: {
      address: { hostname: "m", ip: "10.0.0.5", port: 80 },
      hostname: "m",
      ip: 83886090,
      port: 80,
      version: "1.11.0",
    },
    wanted: { metadata: { version: "1.11.0" } },
  },
  { why: "JSON", section: { format: "json" }, value: { ip: "10.0.0.5", port: "80", weight: 3 } },
  { why: "JSON with the section's port", section: { format: "json", port: 80 }, value: { ip: "10.0.0.5" } },
  {
    why: "JSON with fields of other names",
    section: { format: "json", fields: FIELDS },
    value: { addr: "10.0.0.5", port: 80, w: "7", az: "eu-1a", s: "Draining", ip: "10.9.9.9" },
    wanted: { weight: 7, zone: "eu-1a", state: "drain" },
  },
  {
    why: "JSON with all that a node has",
    section: {
      format: "json",
      fields: { ip: "ip", port: "port", host: "h", labels: "l", priority: "p", metadata: "m", state: "s" },
    },
    value: { ip: "10.0.0.5", port: 80, h: "web.example", l: { a: "b" }, p: 2, m: { x: [1] }, s: "up" },
    wanted: { host: "web.example", labels: { a: "b" }, priority: 2, metadata: { x: [1] } },
  },
];

Deno.test.each(READ)("$section.format reads $why", ({ section, value, name, wanted }) => {
  const { node, fault } = read(section, value, name);
  assert.equal(fault, undefined);
  assert.deepEqual(node, { host: "10.0.0.5", ip: "10.0.0.5", port: 80, metadata: {}, ...wanted });
});

Deno.test.each(
  [
    { section: { format: "address" }, value: "10.0.0.5", says: /an IP address with a port/ },
    { section: { format: "address" }, value: "web.example:80", says: /unresolved host name/ },
    { section: { format: "address" }, value: "10.0.0.5:0", says: /an IP address with a port/ },
    { section: { format: "address" }, value: "10.0.0.5:80; server evil", says: /an IP address/ },
    { section: { format: "address" }, value: "", says: /an IP address/ },
    { section: { format: "key" }, value: "10.0.0.5:80", says: /current value is "anything"/ },
    { section: { format: "nerve" }, value: { ...NERVE, weight: 300 }, says: /weight must be an integer from 0 to 256/ },
    { section: { format: "nerve" }, value: { ...NERVE, port: "80 check" }, says: /port must be/ },
    { section: { format: "nerve" }, value: { ...NERVE, labels: { a: { b: 1 } } }, says: /labels must be/ },
    {
      section: { format: "nerve" },
      value: "",
      name: "base64_9_e30_0000000001",
      says: /must contain 9 base64 characters/,
    },
    { section: { format: "nerve" }, value: "", name: "base64_4_!!!!_0000000001", says: /must contain valid base64/ },
    { section: { format: "serverset" }, value: { status: "ALIVE" }, says: /serviceEndpoint must be an object/ },
    { section: { format: "serverset" }, value: { ...ALIVE, status: 1 }, says: /status must be a string/ },
    { section: { format: "serverset", endpoint: "toString" }, value: MORE, says: /must contain "toString"/ },
    { section: { format: "curator" }, value: { ...CURATOR, port: null }, says: /port must be/ },
    { section: { format: "curator" }, value: { ...CURATOR, address: "a\nserver evil" }, says: /ip must be/ },
    {
      section: { format: "mesos-master" },
      value: { hostname: "m1.example", port: 5050 },
      says: /unresolved host name "m1.example"/,
    },
    { section: { format: "json" }, value: { port: 80 }, says: /ip must be/ },
    {
      section: { format: "json", fields: FIELDS },
      value: { addr: "10.0.0.5", port: 80, s: "sick" },
      says: /^Invalid entry: s must be ready, up, drain or draining/,
    },
    { section: { format: "json" }, value: "[]", says: /not a JSON object/ },
  ] satisfies readonly { section: FormatSection; value: unknown; name?: string; says: RegExp }[],
)("$section.format finds fault with $value", ({ section, value, name, says }) => {
  const { node, fault } = read(section, value, name);
  assert.equal(node, undefined);
  assert.match(fault ?? "", says);
});

Deno.test.each(
  [
    {
      why: "a serverset that has not started",
      section: { format: "serverset" },
      value: { ...ALIVE, status: "STARTING" },
    },
    { why: "a serverset that is dead", section: { format: "serverset" }, value: { ...ALIVE, status: "DEAD" } },
    { why: "another shard", section: { format: "serverset", shard: 4 }, value: ALIVE },
    { why: "Spring's that is down", section: { format: "curator" }, value: spring({ instance_status: "DOWN" }) },
  ] satisfies readonly { why: string; section: FormatSection; value: unknown }[],
)("$section.format takes $why for no node, and for no fault", ({ section, value }) => {
  const { node, fault } = read(section, value);
  assert.deepEqual([node, fault], [undefined, undefined]);
});

Deno.test.each(
  [
    { section: { format: "serverset" }, names: ["vector_0", "member_2", "member_1"], wanted: ["member_2", "member_1"] },
    { section: { format: "serverset", memberPrefix: "m" }, names: ["m_1", "x_1"], wanted: ["m_1"] },
    {
      section: { format: "mesos-master" },
      names: ["log_replicas", "json.info_0000000009", "json.info_0000000002", "info_0000000001"],
      wanted: ["json.info_0000000002"],
    },
    { section: { format: "mesos-master" }, names: ["log_replicas"], wanted: [] },
  ] satisfies readonly { section: FormatSection; names: readonly string[]; wanted: readonly string[] }[],
)(
  "$section.format selects $wanted of $names",
  ({ section, names, wanted }) => assert.deepEqual(formatIn(section, "web").select?.(names), wanted),
);

/** What each written format has room for: the same as in the table of the docs. */
const CARRIED: Readonly<Record<Exclude<FormatName, "mesos-master">, readonly ("weight" | "drain" | "zone")[]>> = {
  lighthouse: ["weight", "drain", "zone"],
  address: [],
  key: [],
  nerve: ["weight", "drain"],
  serverset: ["weight", "drain", "zone"],
  curator: ["weight", "drain", "zone"],
  json: ["weight", "drain", "zone"],
};

Deno.test.each(Object.entries(CARRIED).map(([format, carried]) => ({ format: format as FormatName, carried })))(
  "$format reads what it wrote: the address, the port, and $carried",
  ({ format: name, carried }) => {
    const section: FormatSection = {
      format: name,
      ...name === "json" && { fields: FIELDS },
      ...name === "key" && { port: 8080 },
    };
    const format = formatIn(section, "web");
    const node = fc.record({
      ip: fc.oneof(fc.ipV4(), fc.constantFrom("::1", "2001:db8::5")),
      port: fc.integer({ min: 1, max: 65_535 }),
      weight: fc.option(fc.integer({ min: 1, max: 256 }), { nil: undefined }),
      state: fc.constantFrom(undefined, "drain" as const),
      zone: fc.constantFrom(undefined, "eu-1a"),
    }).map((given): Node => ({ host: "web.example", metadata: { a: 1 }, ...given }));
    fc.assert(fc.property(node, (given) => {
      const entry = format.write(given);
      if (entry === undefined) return assert.ok(given.state === "drain" && !carried.includes("drain"));
      assert.equal(entry.name, format.nameOf(given));
      const { node: read, fault } = format.read(entry.name, entry.data);
      assert.equal(fault, undefined);
      assert.deepEqual([read?.ip, read?.port], [given.ip, given.port]);
      if (carried.includes("zone")) assert.equal(read?.zone, given.zone);
      if (carried.includes("drain")) assert.equal(read?.state, given.state);
      // nerve has one number for both.
      const isSaid = carried.includes("weight") && !(name === "nerve" && given.state === "drain");
      if (isSaid) assert.equal(read?.weight, given.weight);
      assert.deepEqual(format.write(given), entry, "the same node is the same bytes");
    }));
  },
);

Deno.test("a serverset is written with its ports, its endpoint and its shard, and read so by its own clients", () => {
  const section: FormatSection = { format: "serverset", endpoint: "http", shard: 2 };
  const node: Node = {
    host: "web.example",
    ip: "10.0.0.5",
    port: 80,
    metadata: { ports: { admin: 81, bad: "x" }, shard: 9 },
  };
  const { data } = formatIn(section, "web").write(node) ?? assert.fail();
  assert.deepEqual(JSON.parse(new TextDecoder().decode(data)), {
    status: "ALIVE",
    serviceEndpoint: { host: "10.0.0.5", port: 80 },
    additionalEndpoints: { admin: { host: "10.0.0.5", port: 81 }, http: { host: "10.0.0.5", port: 80 } },
    shard: 2,
  });
});

Deno.test("every format is tested here, and a read-only format cannot be written", () => {
  const readOnly = FORMAT_NAMES.filter((name) => "isReadOnly" in FORMATS[name]);
  assert.deepEqual([...Object.keys(CARRIED), ...readOnly].toSorted(), FORMAT_NAMES.toSorted());
  const node: Node = { host: "web.example", ip: "10.0.0.5", port: 80, metadata: {} };
  assert.throws(
    () => formatIn({ format: "mesos-master" }, "web").write(node),
    /Cannot register with the mesos-master format/,
  );
});

Deno.test("no format makes metadata that nobody reads, and a change of it is no news", () => {
  const format = formatIn({ format: "serverset" }, "web");
  const child = (shard: number, before?: ReturnType<typeof format.read>) =>
    format.read("member_1", new TextEncoder().encode(JSON.stringify({ ...MORE, shard })), {
      withoutMetadata: true,
      before,
    });
  const first = child(1);
  assert.deepEqual(first.node?.metadata, {});
  assert.equal(child(2, first).node, first.node);
});
