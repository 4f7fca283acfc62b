import { eventually } from "../support/eventually.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { TempDir } from "../support/temp_dir.ts";
import { print, usageOf } from "./figures.ts";

/** Checks that run, each once a second. */
const CHECKS = 100;
/** Rounds before it is measured: until then, the engine of each worker still compiles what it has interpreted. */
const WARM_ROUNDS = 40;
/** What was promised, as a multiple of the floor. */
const OWN_MOST = 3, SHARED_MOST = 2;
/** How long the load is measured. */
const MEASURED_MS = 10_000;

/** What 100 checks a second cost, in a worker each and in a shared one. */
export async function checks(): Promise<void> {
  const own = await measure("worker");
  const shared = await measure("shared");
  print(
    `${CHECKS} http checks, each once a second, for ${
      MEASURED_MS / 1_000
    } s (floor: a bare connection, one from a timer each 10 ms)`,
    [
      {
        what: "isolation: worker, share of a core",
        value: own.cpuPercent,
        unit: "%",
        floor: own.floorPercent,
        most: OWN_MOST * own.floorPercent,
      },
      { what: "isolation: worker, memory of the whole process", value: own.rssMb, unit: "MB" },
      {
        what: "isolation: shared, share of a core",
        value: shared.cpuPercent,
        unit: "%",
        floor: shared.floorPercent,
        most: SHARED_MOST * shared.floorPercent,
      },
      { what: "isolation: shared, memory of the whole process", value: shared.rssMb, unit: "MB" },
    ],
  );
}

async function measure(isolation: string): Promise<{ cpuPercent: number; rssMb: number; floorPercent: number }> {
  await using dir = new TempDir("lighthouse-bench-");
  let probes = 0;
  const listeners = Array.from(
    { length: CHECKS },
    () =>
      Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
        probes++;
        return new Response("ok");
      }),
  );
  const ports = listeners.map(({ addr }) => addr.port);
  // A registry that asks for nothing in the meantime: to keep nodes registered is no part of what the checks cost.
  await dir.write("config/discovery/file.yaml", JSON.stringify({ path: dir.file("registry"), ttl: 3_600 }));
  await dir.write("config/lighthouse.yaml", JSON.stringify({ isolation }));
  const http = { uri: "/", rise: 1, fall: 1 };
  await dir.write(
    "config/services/web.yaml",
    JSON.stringify({ discovery: "file", ports, checks: { interval: 1, http } }),
  );
  try {
    await using daemon = Lighthouse.start("reporter", dir.file("config"));
    // A daemon runs for months: what its first seconds cost is no part of the figure.
    await eventually("all checks run", () => probes >= WARM_ROUNDS * CHECKS, { deadlineMs: 60_000 });
    const [before, seen] = [usageOf(daemon.pid), probes];
    await new Promise((resolve) => setTimeout(resolve, MEASURED_MS));
    const after = usageOf(daemon.pid);
    const rate = (probes - seen) / MEASURED_MS * 1_000;
    if (rate < CHECKS * 0.9) throw new Error(`Only ${rate.toFixed(0)} probes a second came, want ${CHECKS}`);
    const cpuPercent = (after.cpuMs - before.cpuMs) / MEASURED_MS * 100;
    return { cpuPercent, rssMb: after.rssMb, floorPercent: await measureFloor(ports[0] as number) };
  } finally {
    await Promise.all(listeners.map((listener) => listener.shutdown()));
  }
}

/**
 * Bare connections with a request and its answer, in a process that does nothing else: as many a second, and each from
 * a timer of its own, so that it is woken as often. As of the daemon, its first seconds do not count.
 */
async function measureFloor(port: number): Promise<number> {
  const code = `
    const request = new TextEncoder().encode("GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n");
    const buffer = new Uint8Array(4096);
    const ticks = () => {
      const stat = Deno.readTextFileSync("/proc/self/stat");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(fields[11]) + Number(fields[12]);
    };
    const probe = async () => {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port: ${port} });
      await connection.write(request);
      await connection.read(buffer);
    };
    const last = ${(WARM_ROUNDS + MEASURED_MS / 1_000) * CHECKS};
    let [begun, before] = [0, 0];
    await new Promise((resolve) => {
      const timer = setInterval(() => {
        if (++begun === ${WARM_ROUNDS * CHECKS}) before = ticks();
        if (begun > last) return resolve(clearInterval(timer));
        void probe();
      }, ${1_000 / CHECKS});
    });
    console.log(ticks() - before);
    Deno.exit(0);`;
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", code] }).output();
  // A tick of the kernel's count is 10 ms.
  return Number(new TextDecoder().decode(stdout)) * 10 / MEASURED_MS * 100;
}
