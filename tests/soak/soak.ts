import { RawRegistry } from "../bench/registry.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { ZooKeeper } from "../support/zookeeper.ts";
import { look, type Sample } from "./gauge.ts";

/** What a soak is to bring about. */
export interface SoakOptions {
  /** How often the connection to the registry is cut. */
  readonly reconnects: number;
  /** How many nodes come or go. */
  readonly changes: number;
  /** It ends after this time, even if not all of that has been done. */
  readonly mostMs: number;
  /** Hears of each sample. */
  readonly onSample?: (sample: Sample, done: { readonly reconnects: number; readonly changes: number }) => void;
}

/** What came of it. */
export interface Soaked {
  readonly reconnects: number;
  readonly changes: number;
  readonly samples: readonly Sample[];
}

/** So many samples are taken while it lasts. */
const SAMPLES = 60;
/** So many changes are made before the writer is given the time to see them. */
const BURST = 20;
/** The least time between two cuts, and between two bursts. */
const PAUSE_MS = 50;
/** All is to be done by this share of the time. */
const DONE_BY = 0.9;

/**
 * Lets writer and reporter, one real process, live through cut connections and
 * changes of members, and looks at what it uses meanwhile. Fails if it does not
 * serve what is registered in the end.
 */
export async function soak({ reconnects, changes, mostMs, onSample }: SoakOptions): Promise<Soaked> {
  await using stack = new AsyncDisposableStack();
  const zookeeper = stack.use(await ZooKeeper.start());
  const proxy = stack.use(TcpProxy.start(zookeeper.port));
  const registry = stack.use(await RawRegistry.connect(zookeeper));
  const host = stack.use(new TestHost());
  const service = stack.use(new WebService());
  await host.configure();
  await host.remove("discovery/file");
  await host.write("discovery/zookeeper", { hosts: [proxy.address], path: "/lighthouse/services" });
  const checks = { interval: 0.5, http: { uri: "/health", rise: 1, fall: 2 } };
  await host.write("services/web", { discovery: "zookeeper", port: service.port, checks });
  await host.write("clusters/web", { discovery: "zookeeper", haproxy: { port: freePort() } });
  const lighthouse = stack.use(Lighthouse.start("run", host.configDir));
  await host.untilServing("web", [service.port]);

  const beganAt = performance.now();
  const done = { reconnects: 0, changes: 0 };
  const samples: Sample[] = [];
  const isOver = () =>
    performance.now() - beganAt > mostMs || (done.reconnects >= reconnects && done.changes >= changes);
  const present = new Set<number>();
  /** Spreads the work over the time: waits until so much of it is due. */
  const pace = (part: number, whole: number) =>
    pause(Math.max(PAUSE_MS, part / whole * mostMs * DONE_BY - (performance.now() - beganAt)));

  async function reconnect(): Promise<void> {
    while (!isOver() && done.reconnects < reconnects) {
      const { accepted } = proxy;
      proxy.cut();
      await eventually("it is connected again", () => proxy.accepted > accepted && proxy.connections > 0);
      done.reconnects++;
      await pace(done.reconnects, reconnects);
    }
  }

  async function change(): Promise<void> {
    for (let next = 0; !isOver() && done.changes < changes;) {
      for (let i = 0; i < BURST && done.changes < changes; i++, next++) {
        const port = 20_000 + next % (5 * BURST);
        if (present.delete(port)) await registry.remove("web", "other.test", port);
        else {
          present.add(port);
          await registry.create("web", "other.test", port);
        }
        done.changes++;
      }
      await pace(done.changes, changes);
    }
  }

  async function measure(): Promise<void> {
    while (!isOver()) {
      const sample = await look(lighthouse.pid, beganAt);
      samples.push(sample);
      onSample?.(sample, done);
      await pause(mostMs / SAMPLES);
    }
  }

  await Promise.all([reconnect(), change(), measure()]);
  // It still does its work.
  await host.untilServing("web", [service.port, ...present]);
  return { ...done, samples };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
