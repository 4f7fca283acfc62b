/**
 * The announced identity of a host: compared with Python, on hosts of many kinds
 * made of namespaces, and changed while a reporter runs.
 *
 * @module
 */
import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { learnHostFacts } from "../../src/app/host_facts.ts";
import { eventually } from "../support/eventually.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { TempDir } from "../support/temp_dir.ts";

const HOST_FACTS = new URL("../../src/app/host_facts.ts", import.meta.url).href;

/** The `deno` arguments of the task `lighthouse`, without the program. */
const TASK_ARGS: readonly string[] = config.tasks.lighthouse.command.split(" ").slice(1, -1);
/** The program of the task. */
const PROGRAM_FILE = new URL(`../../${config.tasks.lighthouse.command.split(" ").at(-1)}`, import.meta.url).pathname;

const ASK_PYTHON = `
import json, socket
name = socket.getfqdn()
try:
    address = socket.gethostbyname(name)
except OSError:
    address = None
print(json.dumps([name, address]))
`;

const ASK_OURS = `
const { learnHostFacts } = await import("${HOST_FACTS}");
const { facts: { fqdn, ip } } = await learnHostFacts({});
console.log(JSON.stringify([fqdn, ip]));
`;

/** A host's identity according to Python, and according to us. */
interface Answers {
  readonly python: readonly [string, string | null];
  readonly ours: readonly [string, string];
}

/** Asks on a host with this name, this hosts file, no name server, and these loopback addresses. */
async function askOn(
  { name, hosts, addresses }: {
    readonly name: string;
    readonly hosts: string;
    readonly addresses: readonly string[];
  },
): Promise<Answers> {
  await using temp = new TempDir();
  const [hostsFile, resolver, python, ours] = [
    await temp.write("hosts", hosts),
    await temp.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"),
    await temp.write("ask.py", ASK_PYTHON),
    await temp.write("ask.js", ASK_OURS),
  ];
  const script = [
    "set -e",
    "ip link set lo up",
    ...addresses.map((address) => `ip addr add ${address} dev lo`),
    `hostname ${name}`,
    `mount --bind ${hostsFile} /etc/hosts`,
    `mount --bind ${resolver} /etc/resolv.conf`,
    `/usr/bin/python3 ${python}`,
    // With the flags of the task: the lookup must need no more.
    `${Deno.execPath()} ${TASK_ARGS.join(" ")} --no-check --no-config ${ours}`,
  ].join("\n");
  const { code, stdout, stderr } = await new Deno.Command("unshare", {
    args: ["--net", "--mount", "--uts", "sh", "-c", script],
    signal: AbortSignal.timeout(60_000),
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const [first = "", second = ""] = new TextDecoder().decode(stdout).trim().split("\n");
  return { python: JSON.parse(first), ours: JSON.parse(second) };
}

const LOCALHOST = "127.0.0.1 localhost\n";

for (
  const { why, name = "box", hosts, addresses, ip } of [
    {
      why: "is in its hosts file with its address",
      hosts: `${LOCALHOST}10.1.2.3 box.example.org box\n`,
      addresses: ["10.1.2.3/24"],
      ip: "10.1.2.3",
    },
    {
      why: "has 127.0.1.1 there, as Debian writes it, and one address",
      hosts: `${LOCALHOST}127.0.1.1 box.example.org box\n`,
      addresses: ["10.1.2.3/24"],
      ip: "10.1.2.3",
    },
    {
      why: "has 127.0.1.1 there, and no address that others reach",
      hosts: `${LOCALHOST}127.0.1.1 box.example.org box\n`,
      addresses: [],
      ip: "127.0.1.1",
    },
    { why: "has no dot in any of its names", hosts: `${LOCALHOST}10.1.2.3 box\n`, addresses: [], ip: "10.1.2.3" },
    {
      why: "has its full name as an alias only",
      hosts: `${LOCALHOST}10.1.2.3 box other box.example.org\n`,
      addresses: [],
      ip: "10.1.2.3",
    },
    {
      why: "has a full name as its own",
      name: "box.example.org",
      hosts: `${LOCALHOST}10.1.2.3 box.example.org box\n`,
      addresses: [],
      ip: "10.1.2.3",
    },
    {
      why: "is called localhost by its hosts file",
      hosts: "127.0.0.1 localhost box\n",
      addresses: ["10.1.2.3/24"],
      ip: "10.1.2.3",
    },
    {
      why: "is a container without DNS that knows nothing of itself",
      hosts: LOCALHOST,
      addresses: ["10.1.2.3/24"],
      ip: "10.1.2.3",
    },
    {
      why: "is such a container with two addresses and no way out",
      hosts: LOCALHOST,
      addresses: ["10.1.2.3/24", "10.9.9.9/24"],
      ip: "127.0.0.1",
    },
    {
      why: "has IPv6 alone",
      hosts: "::1 localhost\nfd00::5 box.example.org box\n",
      addresses: ["fd00::5/64"],
      ip: "fd00::5",
    },
    {
      why: "has both, IPv6 first",
      hosts: `${LOCALHOST}fd00::5 box6.example.org box\n10.1.2.3 box.example.org box\n`,
      addresses: ["fd00::5/64", "10.1.2.3/24"],
      ip: "10.1.2.3",
    },
  ]
) {
  Deno.test({
    name: `a host that ${why} has the same name as in Python, and the address ${ip} (as root)`,
    // A network namespace and a mount over /etc/hosts need root.
    ignore: Deno.uid() !== 0,
    async fn() {
      const { python, ours } = await askOn({ name, hosts, addresses });
      assert.equal(ours[0], python[0]);
      assert.equal(ours[1], ip);
    },
  });
}

Deno.test("the announced name equals Python's getfqdn()", async () => {
  const python = await new Deno.Command("/usr/bin/python3", { args: ["-c", ASK_PYTHON] }).output();
  const { facts: { fqdn, ip } } = await learnHostFacts({});
  assert.equal(fqdn, JSON.parse(new TextDecoder().decode(python.stdout))[0]);
  assert.match(ip, /^[0-9a-f.:]+$/);
});

/** The nodes of a cluster in the registry's directory, with what is announced of them. */
async function registered(host: TestHost): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for await (const { name } of Deno.readDir(`${host.registryDir}/web`)) {
    if (!name.endsWith(".json")) continue;
    const node = JSON.parse(await Deno.readTextFile(`${host.registryDir}/web/${name}`));
    found[name.slice(0, -".json".length)] = [node.ip, node.peer];
  }
  return found;
}

async function untilRegistered(host: TestHost, wanted: Record<string, unknown>): Promise<void> {
  await eventually("the registry has the expected nodes", async () => {
    assert.deepEqual(await registered(host), wanted);
    return true;
  });
}

Deno.test("an edit of host.yaml renames a running host: the new name is registered before the old one is removed", async () => {
  await using host = new TestHost();
  await using web = new WebService();
  const { port } = web;
  await host.write("discovery/file", { path: host.registryDir, ttl: 2 });
  await host.write("services/web", {
    discovery: "file",
    port,
    checks: { interval: 0.1, http: { uri: "/health", rise: 1, fall: 1 } },
  });
  await host.write("host", { name: "one.int", ip: "127.0.0.1", peer_port: "1025" });
  await using reporter = Lighthouse.start("reporter", host.configDir, [], { isTold: false });
  const peer = (name: string, ip: string, peerPort: number) => [ip, { ip, name, port: peerPort }];
  await untilRegistered(host, { [`one.int:${port}`]: peer("one.int", "127.0.0.1", 1025) });

  await host.write("host", { name: "two.int", ip: "127.0.0.2" });
  await untilRegistered(host, { [`two.int:${port}`]: peer("two.int", "127.0.0.2", 1024) });
  const registered = await reporter.event("registration.registered", { node: /^two\.int:/ });
  await reporter.event("registration.deregistered", { node: /^one\.int:/ }, { after: registered });

  await host.write("host", { name: "two.int", ip: "127.0.0.3" });
  await untilRegistered(host, { [`two.int:${port}`]: peer("two.int", "127.0.0.3", 1024) });

  await host.write("host", "name: not a name\nip: 127.0.0.4\n");
  await reporter.event("config.invalid", {
    file: /host\.yaml$/,
    line: 1,
    column: 7,
    msg: /Cannot use name: must be a host name/,
  });
  await untilRegistered(host, { [`two.int:${port}`]: peer("two.int", "127.0.0.3", 1024) });
  assert.equal(reporter.count("service.down"), 0, reporter.log);
});

Deno.test("--host, --ip and --peer-port override host.yaml", async () => {
  await using host = new TestHost();
  await host.write("discovery/file", { path: host.registryDir, ttl: 2 });
  await host.write("services/web", { discovery: "file", port: 8_000, checks: { interval: 1 } });
  await host.write("host", { name: "file.int", ip: "127.0.0.9", peer_port: 1025 });
  await using reporter = Lighthouse.start("reporter", host.configDir, ["--peer-port", "1026"]);
  await reporter.event("registration.registered");
  await untilRegistered(host, {
    "test.host:8000": ["127.0.0.1", { ip: "127.0.0.1", name: "test.host", port: 1026 }],
  });
});

Deno.test("a host named localhost registers nothing until it has a name, which DNS may provide later (as root)", async () => {
  await using host = new TestHost();
  await using web = new WebService();
  const { port } = web;
  const hosts = await host.dir.write("hosts", "127.0.0.1 localhost box\n");
  const resolver = await host.dir.write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
  const script = `hostname box; mount --bind ${hosts} /etc/hosts; mount --bind ${resolver} /etc/resolv.conf; exec "$@"`;
  const within = ["unshare", "--mount", "--uts", "sh", "-c", script, "sh"];
  await host.write("discovery/file", { path: host.registryDir, ttl: 2 });
  await host.write("services/web", {
    discovery: "file",
    port,
    checks: { interval: 0.1, http: { uri: "/health", rise: 1, fall: 1 } },
  });
  await using reporter = Lighthouse.start("reporter", host.configDir, ["--ip", "127.0.0.1"], { isTold: false, within });
  await reporter.event("host.refused", { level: "error", reason: /localhost/ });
  await reporter.event("check.up");
  assert.equal(reporter.count("registration.registered"), 0, reporter.log);

  await Deno.writeTextFile(hosts, "127.0.0.1 localhost\n10.0.0.9 late.example.org box\n");
  await reporter.event("host.identity", { host: "late.example.org" });
  const peer = { ip: "127.0.0.1", name: "late.example.org", port: 1024 };
  await untilRegistered(host, { [`late.example.org:${port}`]: ["127.0.0.1", peer] });
});

Deno.test("check reports a host named localhost, and accepts a name from host.yaml or --host (as root)", async () => {
  await using host = new TestHost();
  const hosts = await host.dir.write("hosts", "127.0.0.1 localhost box\n");
  await host.write("discovery/file", { path: host.registryDir });
  await host.write("services/web", { discovery: "file", port: 1, checks: { interval: 1, tcp: { rise: 1, fall: 1 } } });
  const check = async (...flags: readonly string[]) => {
    const command = `${Deno.execPath()} ${TASK_ARGS.join(" ")} ${PROGRAM_FILE} check ${host.configDir} ${
      flags.join(" ")
    }`;
    const script = `hostname box; mount --bind ${hosts} /etc/hosts; ${command}`;
    const { code, stdout } = await new Deno.Command("unshare", {
      args: ["--mount", "--uts", "sh", "-c", script],
      signal: AbortSignal.timeout(60_000),
    }).output();
    return { code, stdout: new TextDecoder().decode(stdout) };
  };
  const refused = await check();
  assert.equal(refused.code, 1);
  assert.match(
    refused.stdout,
    /host\.yaml: error: Cannot announce this host as localhost: every host has this name; set name in host\.yaml/,
  );
  assert.equal((await check("--host", "web01.test", "--ip", "10.0.0.1")).code, 0);
  await host.write("host", { name: "web01.test", ip: "10.0.0.1" });
  assert.equal((await check()).code, 0);
});
