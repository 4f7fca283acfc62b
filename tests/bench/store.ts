import { systemClock } from "../../src/kernel/clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { LIMITS } from "../../src/store/limits.ts";
import { Refusal } from "../../src/store/refusal.ts";
import { DataDirectory } from "../../src/store/snapshot_files.ts";
import { Store } from "../../src/store/store.ts";
import { compactText, type Tree, treeOf } from "../../src/store/tree.ts";
import { StoreProcess } from "../store/process.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { TempDir } from "../support/temp_dir.ts";
import { print, quantile, usageOf } from "./figures.ts";

/** Rounds of requests, of each server in turn: many short ones, since others use the machine too. */
const ROUNDS = 25;
const ROUND_MS = 300;
const CONNECTIONS = 16;
/** Requests of a connection that go out together: with many the server is measured, with one the system too. */
const PIPELINED = [
  // The store answers a batch by one write, where Deno.serve writes each answer.
  { requests: 16, shortMax: 0 },
  { requests: 1, shortMax: 40 },
] as const;
const COMMITS = 40;

const BARE = new URL("./bare_server.ts", import.meta.url).pathname;

/** Reads, commits and a start of the store, each beside what could not be quicker. */
export async function store(): Promise<void> {
  await reads();
  await commits("10,000 keys in one object", flat(10_000));
  await commits("10,000 keys in 100 objects", { groups: Array.from({ length: 100 }, () => flat(100)) });
  await starts();
}

/** Some 100 bytes for each key. */
function flat(keys: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: keys }, (_, i) => [`key-${String(i).padStart(6, "0")}`, "v".repeat(84)]),
  );
}

async function reads(): Promise<void> {
  await using dir = new TempDir("lighthouse-bench-");
  const [storePort, barePort] = [freePort(), freePort()];
  await using server = new StoreProcess(["--data.d", dir.path, "--bind", `127.0.0.1:${storePort}`, "--bootstrap"]);
  await server.event("store.listening");
  const url = `http://127.0.0.1:${storePort}`;
  const put = async (path: string, body: string) => {
    const answer = await fetch(`${url}${path}`, { method: "PUT", body });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    await answer.body?.cancel();
  };
  await put("/lock", "bench");
  await put("/update/bench", JSON.stringify({ small: { name: "web", ports: [80, 443] }, large: flat(100) }));
  await put("/lock/bench", "");
  for (const path of ["/data/small", "/data/large"]) {
    const answer = await fetch(`${url}${path}`);
    const body = dir.file("body");
    await Deno.writeFile(body, await answer.bytes());
    const bare = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", BARE, String(barePort), body, answer.headers.get("etag") ?? ""],
      stdin: "null",
    }).spawn();
    try {
      await eventually("the bare server listens", async () => (await fetch(`http://127.0.0.1:${barePort}`)).bytes());
      for (const { requests, shortMax } of PIPELINED) {
        await load(storePort, path, requests);
        await load(barePort, path, requests);
        const before = { ours: usageOf(server.pid).cpuMs, bare: usageOf(bare.pid).cpuMs };
        const figures: { readonly ours: number[]; readonly bare: number[] } = { ours: [], bare: [] };
        for (let round = 0; round < ROUNDS; round++) {
          figures.bare.push(await load(barePort, path, requests));
          figures.ours.push(await load(storePort, path, requests));
        }
        const [ours, floor] = [quantile(figures.ours, 0.5), quantile(figures.bare, 0.5)];
        const shares = figures.ours.map((each, i) => 100 * each / (figures.bare[i] ?? NaN));
        print(`GET ${path}, ${requests} at a time (floor: a bare Deno.serve with the same bytes), ${ROUNDS} rounds`, [
          { what: "requests, median", value: ours, unit: "1/s", floor },
          {
            what: "short of the bare server, median of pairs",
            value: 100 - quantile(shares, 0.5),
            unit: "%",
            most: shortMax,
          },
          {
            what: "time on a core for 1,000 requests",
            value: cpuFor(usageOf(server.pid).cpuMs - before.ours, figures.ours),
            unit: "ms",
            floor: cpuFor(usageOf(bare.pid).cpuMs - before.bare, figures.bare),
          },
        ]);
      }
    } finally {
      bare.kill("SIGKILL");
      await bare.status;
    }
  }
}

/** Answers the time on a core for a thousand requests, given what each round had a second. */
function cpuFor(ms: number, rates: readonly number[]): number {
  return ms / (rates.reduce((sum, rate) => sum + rate * ROUND_MS / 1_000, 0) / 1_000);
}

/** Answers the requests a second that a server answers. Every answer is as long as the first. */
async function load(port: number, path: string, pipelined: number): Promise<number> {
  const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: */*\r\n\r\n`;
  const batch = new TextEncoder().encode(request.repeat(pipelined));
  const began = performance.now();
  const end = began + ROUND_MS;
  const counts = await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const buffer = new Uint8Array(256 * 1024);
    const one = new TextEncoder().encode(request);
    await connection.write(one);
    const first = new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
    const head = first.indexOf("\r\n\r\n") + 4;
    const length = head + Number(/content-length: (\d+)/i.exec(first)?.[1]);
    for (let read = first.length; read < length;) read += await connection.read(buffer) ?? 0;
    let answers = 0;
    while (performance.now() < end) {
      await connection.write(batch);
      for (let left = length * pipelined; left > 0;) left -= await connection.read(buffer) ?? left;
      answers += pipelined;
    }
    return answers;
  }));
  return counts.reduce((sum, count) => sum + count, 0) / ((performance.now() - began) / 1_000);
}

async function open(dir: string): Promise<{ readonly store: Store; readonly files: DataDirectory }> {
  const files = await DataDirectory.open(dir);
  const store = await Store.open({
    files,
    clock: systemClock,
    wallNow: Date.now,
    log: SILENT,
    limits: LIMITS,
    loadLimit: undefined,
    removeLimit: { fromNowMs: -86_400_000 },
    bootstrapLimit: { fromNowMs: 0 },
    seeds: [],
  });
  return { store, files };
}

async function commit(store: Store, path: readonly string[], value: Tree): Promise<void> {
  store.acquire("bench", undefined);
  store.update("bench", path, value, undefined);
  const outcome = await store.commit("bench", undefined);
  if (outcome instanceof Refusal) throw new Error(outcome.message);
}

async function commits(what: string, document: Record<string, unknown>): Promise<void> {
  await using dir = new TempDir("lighthouse-bench-");
  const opened = await open(dir.path);
  using files = opened.files;
  await using store = opened.store;
  await commit(store, [], treeOf(document, 100));
  const path = "groups" in document ? ["groups", "50", "key-000050"] : ["key-005000"];
  const took: number[] = [];
  const floors: number[] = [];
  const cpu: number[] = [];
  const bytes = new TextEncoder().encode(compactText(store.copy.data));
  for (let i = 0; i < COMMITS; i++) {
    const usedMs = usageOf(Deno.pid).cpuMs;
    let began = performance.now();
    await commit(store, path, `${i}`);
    took.push(performance.now() - began);
    cpu.push(usageOf(Deno.pid).cpuMs - usedMs);
    began = performance.now();
    // The same bytes by the same way, and nothing else.
    await files.write("floor.bin", [bytes]);
    floors.push(performance.now() - began);
  }
  const [ours, floor] = [quantile(took, 0.5), quantile(floors, 0.5)];
  const size = (bytes.length / 1e6).toFixed(1);
  print(`A commit of one key of ${what}, ${size} MB (floor: writing and syncing the bytes), ${COMMITS} rounds`, [
    { what: "commit, median", value: ours, unit: "ms", floor },
    { what: "without the disk, median", value: Math.max(0, ours - floor), unit: "ms" },
    // What a commit computes: the text of the document, its bytes, and two hashes. Others who use the machine make
    // a commit longer, but not this.
    { what: "time on a core, mean", value: cpu.reduce((sum, each) => sum + each, 0) / COMMITS, unit: "ms", most: 20 },
  ]);
}

async function starts(): Promise<void> {
  await using dir = new TempDir("lighthouse-bench-");
  {
    const { store, files } = await open(dir.path);
    await commit(store, [], treeOf({ groups: Array.from({ length: 5_000 }, () => flat(100)) }, 100));
    await store[Symbol.asyncDispose]();
    files[Symbol.dispose]();
  }
  const took: number[] = [];
  for (let round = 0; round < 3; round++) {
    const began = performance.now();
    await using server = new StoreProcess(["--data.d", dir.path, "--bind", `127.0.0.1:${freePort()}`, "--bootstrap"]);
    await server.event("store.listening");
    took.push(performance.now() - began);
  }
  let size = 0;
  for await (const { name } of Deno.readDir(dir.path)) size = Math.max(size, (await Deno.stat(dir.file(name))).size);
  print(`Start of the process with a snapshot of ${(size / 1e6).toFixed(0)} MB, 3 rounds`, [
    { what: "to listening, median", value: quantile(took, 0.5), unit: "ms", most: 2_000 },
  ]);
}
