/**
 * Rules for every discovery method: report complete memberships and nothing else,
 * register idempotently, and survive an outage of the registry.
 *
 * @module
 */
import { parseEndpoint } from "../model/endpoint.ts";
import type { Node } from "../model/node.ts";
import type { DiscoveryCapability, Scope } from "../plugin/contract.ts";
import { addressesIn } from "../plugin/policy.ts";
import { eventually } from "./eventually.ts";
import {
  describe,
  describeSection,
  pluginRules,
  start,
  type Started,
  STOP_WITHIN_MS,
  type Subject,
  timeStop,
  WAIT,
} from "./plugin_rules.ts";
import { readdress } from "./readdress.ts";
import { must, mustTakeAtMost, type Rule } from "./rule.ts";
import { ScriptedServer, sends } from "./scripted_server.ts";
import { TcpProxy } from "./tcp_proxy.ts";

/** A registry that a discovery method is tested with. */
export interface Registry extends AsyncDisposable {
  /** A valid config for it. */
  readonly config: unknown;
}

/** A discovery method under test. */
export interface DiscoverySubject extends Subject {
  /** A valid config; nobody need answer at its addresses. */
  readonly example: unknown;
  /** What its sessions can do; `watch` and `register` if absent. */
  readonly capabilities?: readonly DiscoveryCapability[] | undefined;
  /** Brings a registry, if there is one. Its cluster `conformance` is empty if the plugin can register. */
  readonly registry?: (() => Promise<Registry>) | undefined;
  /** The section of the file of the cluster that is watched, if it needs one. */
  readonly section?: unknown;
  /** The section of the file of the service that is registered, if it needs one. */
  readonly serviceSection?: unknown;
  /**
   * Of one that cannot register: puts nodes into the registry in its place, and answers the section of the cluster's
   * file. Without it the registry is watched as it is.
   */
  readonly place?: ((registry: Registry, nodes: readonly Node[]) => Promise<unknown>) | undefined;
  /** What its registry has room for of a node; all of it if absent. */
  readonly carried?: ((node: Node) => Node) | undefined;
}

const CLUSTER = "conformance";
/** What each worker was asked to watch last. */
const WATCHED = new WeakMap<Started["host"], Parameters<Started["host"]["post"]>[0]>();
const READ_WRITE: readonly DiscoveryCapability[] = ["watch", "register"];
/** How long a change in the registry may take to be seen. */
const SEEN_WITHIN = { deadlineMs: 20_000 };

function node(port: number): Node {
  return {
    host: "one.example",
    ip: "192.0.2.1",
    port,
    peer: { name: "one.example", ip: "192.0.2.1", port: 1024 },
    metadata: { role: "über", n: 1 },
  };
}

/** The rules for a discovery method. */
export function discoveryRules(subject: DiscoverySubject): readonly Rule[] {
  const { name, example, registry, place, section, serviceSection } = subject;
  const { capabilities = READ_WRITE, stopWithinMs = STOP_WITHIN_MS, carried = (node) => node } = subject;
  const scope: Scope = { instance: name };
  const addresses = [...addressesIn(example)].filter((address) => !address.startsWith("unix:"));
  const unregistered = registry === undefined ? "no registry was given" : undefined;
  const lacks = (...needed: readonly DiscoveryCapability[]) => {
    const lack = needed.find((each) => !capabilities.includes(each));
    return lack && `the plugin lacks the ${lack} capability`;
  };
  const addressless = addresses.length === 0 ? "the config has no address" : undefined;

  /** A rule that a registry is needed for; `why` it cannot be tried even so. */
  const rule = (
    title: string,
    run: (registry: Registry) => Promise<void>,
    { needed = READ_WRITE, why }: { readonly needed?: typeof READ_WRITE; readonly why?: string | undefined } = {},
  ): Rule => ({
    title,
    skipped: lacks(...needed) ?? unregistered ?? why,
    async run() {
      await using opened = await registry?.();
      if (opened !== undefined) await run(opened);
    },
  });
  /** A rule for one that cannot register. */
  const readOnly = (title: string, run: (registry: Registry) => Promise<void>, why?: string): readonly Rule[] =>
    lacks("register") === undefined ? [] : [rule(title, run, { needed: ["watch"], why })];
  const sections = new Map<string, Promise<{ readonly config?: unknown }>>();
  /** What a plugin makes of the section of a file, to go into a message; it is asked once for each. */
  const validated = (of: "cluster" | "service", raw: unknown) => {
    const key = JSON.stringify([of, raw]);
    const asked = sections.get(key) ?? describeOne(of, raw);
    sections.set(key, asked);
    return asked;
  };
  const describeOne = async (of: "cluster" | "service", raw: unknown) => {
    const told = raw === undefined ? { value: raw } : await describeSection(subject.source, of, raw);
    must(told.issues === undefined, `the ${of} section is rejected: ${JSON.stringify(told.issues)}`);
    return told.value === undefined ? {} : { config: told.value };
  };
  /** Watches the cluster, from now on as its file says. */
  const watch = async ({ host }: Started, raw = section) => {
    const message = { type: "watch", cluster: CLUSTER, ...await validated("cluster", raw) } as const;
    WATCHED.set(host, message);
    host.post({ type: "unwatch", cluster: CLUSTER });
    host.post(message);
  };
  const open = (config: unknown) => start(subject, config, scope);
  const change = async (
    { host }: Started,
    type: "register" | "deregister" | "deregisterOwn",
    port: number,
    state: "up" | "draining" = "up",
  ) =>
    void await host.call({
      type,
      cluster: CLUSTER,
      registration: { node: node(port), state, ...await validated("service", serviceSection) },
      timeoutMs: 15_000,
    }, WAIT);

  return [
    ...pluginRules("discovery", subject, { scope, config: () => example }),
    rule("yields the complete membership first, and again after each change", async ({ config }) => {
      await using reporter = await open(config);
      for (const port of [8001, 8002]) await change(reporter, "register", port);
      await using writer = await open(config);
      await watch(writer);
      await untilSaid(writer, () => portsSaid(writer).length > 0);
      const [first] = snapshots(writer);
      must(first?.cluster === CLUSTER, `the snapshot's cluster is ${first?.cluster}: expected ${CLUSTER}`);
      const sorted = first.nodes.toSorted((a, b) => a.port - b.port);
      const wanted = JSON.stringify([8001, 8002].map((port) => inOrder(carried(node(port)))));
      const got = JSON.stringify(sorted.map(inOrder));
      must(got === wanted, `the first snapshot differs from the registered nodes: got ${got}, expected ${wanted}`);
      await change(reporter, "register", 8003);
      await untilPorts(writer, [8001, 8002, 8003]);
      await change(reporter, "deregister", 8002);
      await untilPorts(writer, [8001, 8003]);
      // The host asks again to confirm what it holds: that says nothing of the past.
      for (let i = 0; i < 3; i++) {
        const before = snapshots(writer).length;
        await watch(writer);
        await untilSaid(writer, () => snapshots(writer).length > before);
      }
      const epochs = new Set(snapshots(writer).filter(({ exists }) => exists).map(({ epoch }) => epoch));
      must(
        epochs.size === 1,
        `the epoch changes although no change was missed: ${[...epochs].join(", ")}`,
      );
    }),
    rule("registers idempotently, and deregisters a missing node without an error", async ({ config }) => {
      await using started = await open(config);
      await change(started, "deregister", 8001);
      for (let i = 0; i < 2; i++) await change(started, "register", 8001);
      await watch(started);
      await untilPorts(started, [8001]);
      for (let i = 0; i < 2; i++) await change(started, "deregister", 8001);
      await untilPorts(started, []);
    }),
    rule("deregisters its own nodes, and ignores missing nodes", async ({ config }) => {
      await using started = await open(config);
      await change(started, "deregisterOwn", 8001);
      await change(started, "register", 8001);
      await watch(started);
      await untilPorts(started, [8001]);
      for (let i = 0; i < 2; i++) await change(started, "deregisterOwn", 8001);
      await untilPorts(started, []);
    }),
    rule("drains a node, or removes it if no state can be written, and restores it", async ({ config }) => {
      await using started = await open(config);
      await change(started, "register", 8001);
      await watch(started);
      await untilPorts(started, [8001]);
      const isDraining = ({ state, weight }: Node) => state === "drain" || weight === 0;
      const last = () => snapshots(started).at(-1)?.nodes ?? [];
      await change(started, "register", 8001, "draining");
      await untilSaid(
        started,
        () => last().every(isDraining),
        "the cluster has no ready node while its only node drains",
      );
      await change(started, "register", 8001);
      await untilSaid(started, () => last().some((each) => !isDraining(each)), "the node is ready again");
    }),
    rule("keeps a node of another session when it deregisters its own nodes", async ({ config }) => {
      await using old = await open(config);
      await using next = await open(config);
      for (const port of [8001, 8002]) await change(old, "register", port);
      for (const port of [8001, 8003]) await change(next, "register", port);
      for (const port of [8001, 8002, 8003]) await change(old, "deregisterOwn", port);
      await using writer = await open(config);
      await watch(writer);
      await untilPorts(writer, [8001, 8003]);
      await old.host.stop({ graceMs: 5_000 });
      await change(next, "register", 8004);
      await untilPorts(writer, [8001, 8003, 8004]);
      await change(writer, "deregister", 8001);
      await untilPorts(writer, [8003, 8004]);
    }),
    rule("deregisters the nodes of a session when the session closes", async ({ config }) => {
      await using writer = await open(config);
      await watch(writer);
      const reporter = await open(config);
      await change(reporter, "register", 8001);
      await untilPorts(writer, [8001]);
      await reporter.host.stop({ graceMs: 5_000 });
      await untilPorts(writer, []);
    }),
    ...readOnly(
      "yields the same complete membership to each watching session, and to a session that watches again",
      async ({ config }) => {
        await using one = await open(config);
        await using other = await open(config);
        for (const each of [one, other, one]) {
          const told = snapshots(each).length;
          await watch(each);
          await untilSaid(each, () => snapshots(each).length > told, "the membership is reported");
        }
        await untilSame(one, other);
      },
    ),
    ...(place === undefined
      ? []
      : readOnly("yields the complete membership again after each change", async (registry) => {
        await using writer = await open(registry.config);
        for (const ports of [[8001, 8002], [8001, 8003], []]) {
          await watch(writer, await place(registry, ports.map(node)));
          await untilPorts(writer, ports);
        }
      })),
    ...readOnly(
      "survives a registry outage, and does not report the cluster as empty",
      async ({ config }) => {
        await using stack = new AsyncDisposableStack();
        const { proxies, throughThem } = proxied(config, stack);
        await using direct = await open(config);
        await using writer = await open(throughThem);
        for (const each of [direct, writer]) await watch(each);
        await untilSame(writer, direct);
        for (const proxy of proxies) proxy.refuse();
        const before = writer.events.length;
        await watch(writer);
        await untilSaid(
          writer,
          () =>
            writer.events.slice(before).some((event) =>
              event.type === "lost" || (event.type === "connection" && event.state === "disconnected")
            ),
          "the registry is reported as unreachable",
        );
        for (const proxy of proxies) proxy.resume();
        const told = snapshots(writer).length;
        await watch(writer);
        await untilSaid(writer, () => snapshots(writer).length > told, "the membership is reported again");
        await untilSame(writer, direct);
        const isEmpty = (started: Started) => portsSaid(started).some((ports) => ports.length === 0);
        must(
          !isEmpty(writer) || isEmpty(direct),
          "the cluster is reported as empty although it has members; " +
            "while the registry is unreachable, the plugin must not report an empty cluster",
        );
      },
      addressless,
    ),
    rule("stops during a watch", async ({ config }) => {
      await mustTakeAtMost(stopWithinMs, "stopping", async () => {
        await using started = await open(config);
        await watch(started);
        return await timeStop(started, stopWithinMs);
      });
    }, { needed: ["watch"] }),
    rule(
      "survives a registry outage, and never reports a partial membership",
      async ({ config }) => {
        await using reporter = await open(config);
        await change(reporter, "register", 8001);
        await using stack = new AsyncDisposableStack();
        const { proxies, throughThem } = proxied(config, stack);
        await using writer = await open(throughThem);
        await watch(writer);
        await untilPorts(writer, [8001]);
        for (const proxy of proxies) proxy.refuse();
        await change(reporter, "register", 8002);
        for (const proxy of proxies) proxy.resume();
        await untilPorts(writer, [8001, 8002]);
        const partial = portsSaid(writer).find((ports) => !ports.includes(8001));
        must(
          partial === undefined,
          `reported ports [${partial}] lack 8001, which was registered throughout; ` +
            "while the registry is unreachable, the plugin must not report missing nodes",
        );
      },
      { why: addressless },
    ),
    {
      title: "reports no members while the registry is unreachable, and can still be stopped",
      skipped: lacks("watch") ?? addressless,
      async run() {
        await using server = new ScriptedServer(sends("this is not a registry\n"));
        const elsewhere = readdress(example, new Map(addresses.map((address) => [address, server.target])));
        await mustTakeAtMost(stopWithinMs, "stopping", async () => {
          await using started = await open(elsewhere);
          const before = server.accepted;
          await watch(started);
          await untilSaid(started, () => server.accepted >= before + 2);
          must(
            portsSaid(started).length === 0,
            `the members [${portsSaid(started).at(-1)}] are reported although the server is not a registry`,
          );
          return await timeStop(started, stopWithinMs);
        });
      },
    },
  ];
}

/** What the plugin says that its sessions can do; all that these rules try if it does not take its config. */
export async function findCapabilities(
  { source, name, example }: DiscoverySubject,
): Promise<readonly DiscoveryCapability[]> {
  const described = await describe(source, example, { instance: name });
  return described.ok ? described.traits?.capabilities ?? [] : READ_WRITE;
}

/** Stands between a config and each address that it names. */
function proxied(config: unknown, stack: AsyncDisposableStack) {
  const proxies = [...addressesIn(config)].flatMap((address) => {
    const at = parseEndpoint(address);
    return at === undefined ? [] : [{ address, proxy: stack.use(TcpProxy.start(at.port, { hostname: at.host })) }];
  });
  const through = new Map(proxies.map(({ address, proxy }) => [address, proxy.address]));
  return { proxies: proxies.map(({ proxy }) => proxy), throughThem: readdress(config, through) };
}

/** The snapshots so far. */
function snapshots({ events }: Started) {
  return events.flatMap((event) => event.type === "snapshot" ? [event.snapshot] : []);
}

/** The ports of the members of each. */
function portsSaid(started: Started): readonly (readonly number[])[] {
  return snapshots(started).map(({ nodes }) => nodes.map(({ port }) => port).toSorted((a, b) => a - b));
}

/** Does as the host does until something holds: takes each snapshot, and watches again when a watch is lost. */
async function untilSaid({ host, events }: Started, holds: () => boolean, what = "the expected report"): Promise<void> {
  let seen = 0;
  await eventually(what, () => {
    if (host.dead !== undefined) return true;
    for (; seen < events.length; seen++) {
      if (events[seen]?.type === "lost") host.post(WATCHED.get(host) ?? { type: "watch", cluster: CLUSTER });
    }
    host.post({ type: "taken", cluster: CLUSTER });
    return holds();
  }, { ...SEEN_WITHIN, everyMs: 20 });
  must(host.dead === undefined, `the worker died: ${host.dead}`);
}

async function untilPorts(started: Started, wanted: readonly number[]): Promise<void> {
  const isThere = () => JSON.stringify(portsSaid(started).at(-1)) === JSON.stringify(wanted);
  await untilSaid(started, isThere, `the members are [${wanted}]`).catch((error) => {
    const said = portsSaid(started).at(-1);
    const lost = started.events.findLast((event) => event.type === "lost");
    const why = lost?.type === "lost" ? `; watch failed: ${lost.error.message}` : "";
    throw new Error(`${error.message}: reported ${said === undefined ? "nothing" : `[${said}]`}${why}`);
  });
}

/** Waits until two sessions have told the same members last. */
async function untilSame(one: Started, other: Started): Promise<void> {
  const members = (started: Started) => JSON.stringify(snapshots(started).at(-1)?.nodes);
  const isSame = () => members(one) !== undefined && members(one) === members(other);
  await Promise.all([one, other].map((each) => untilSaid(each, isSame, "two sessions report the same members")));
}

/** A node with its keys in one order, to be compared as text. */
function inOrder({ host, ip, port, peer, metadata }: Node): unknown {
  const sorted = Object.entries(metadata).toSorted(([a], [b]) => a < b ? -1 : 1);
  return [host, ip, port, peer?.name, peer?.ip, peer?.port, sorted];
}
