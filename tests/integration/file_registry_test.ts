import assert from "node:assert/strict";
import file from "../../plugins/discovery/file/mod.ts";
import { FileSession, type SessionOptions } from "../../plugins/discovery/file/session.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { toDenoPermissions } from "../../src/supervisor/permissions.ts";
import { liveWorkerCount, PluginHost, type WorkerEvent } from "../../src/supervisor/plugin_host.ts";
import { GuardedFollower, RecordingContext, soon, testNode, up } from "../support/discovery.ts";
import { eventually } from "../support/eventually.ts";
import { configured } from "../support/probe.ts";
import { TempDir } from "../support/temp_dir.ts";

/** A session with everything it reports. */
type TestSession = FileSession & { readonly context: RecordingContext };

/** Opens a session on a directory; its leases are short. */
async function open(dir: TempDir, options: Partial<SessionOptions> = {}): Promise<TestSession> {
  const context = new RecordingContext();
  const session = await FileSession.open({ path: dir.file("registry"), ttlMs: 600, ...options }, context);
  return Object.assign(session, { context });
}

/** Another process that registers a node in the cluster `web`. */
class Reporter implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  constructor(dir: TempDir, port: number) {
    const script = new URL("../support/file_reporter.ts", import.meta.url).pathname;
    const args = ["run", "--no-prompt", `--allow-read=${dir.path}`, `--allow-write=${dir.path}`, script];
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...args, dir.file("registry"), "600", "web", String(port)],
      stdin: "null",
    }).spawn();
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.kill("SIGKILL");
    } catch {
      // It was killed earlier.
    }
    await this.#child.status;
  }
}

async function filesOf(dir: TempDir, cluster: string): Promise<readonly string[]> {
  const names = await Array.fromAsync(Deno.readDir(dir.file(`registry/${cluster}`)), ({ name }) => name);
  return names.toSorted();
}

Deno.test.afterAll(() => assert.equal(liveWorkerCount(), 0, "every worker is stopped"));

Deno.test("file: unused metadata is left out, and a change of it is not reported", async () => {
  await using dir = new TempDir();
  await using writer = await open(dir);
  const large = (text: string) => testNode(1, { note: text.repeat(50_000) });
  await writer.register("web", up(large("a")), soon());
  await using reader = await open(dir);
  await using follower = new GuardedFollower(reader, "web", { withoutMetadata: true });
  await follower.has(1);
  await writer.register("web", up(large("b")), soon());
  await writer.register("web", up(testNode(2)), soon());
  await follower.has(1, 2);
  assert.deepEqual(follower.snapshots.map(({ nodes }) => nodes), [[testNode(1)], [testNode(1), testNode(2)]]);
});

Deno.test("file: a registered node is seen, changed and removed with its session", async () => {
  await using dir = new TempDir();
  await using reader = await open(dir);
  await using follower = new GuardedFollower(reader, "web");
  const writer = await open(dir);
  await writer.register("web", up(testNode(1)), soon());
  await follower.has(1);
  await writer.register("web", up(testNode(2)), soon());
  await follower.has(1, 2);
  await writer.register("web", up(testNode(2, { zone: "é" })), soon());
  await eventually("the metadata is seen", () => follower.snapshots.at(-1)?.nodes[1]?.metadata.zone === "é");
  assert.deepEqual(follower.snapshots.at(-1)?.nodes, [testNode(1), testNode(2, { zone: "é" })]);
  await writer.deregister("web", up(testNode(1)), soon());
  await follower.has(2);
  await writer[Symbol.asyncDispose]();
  await writer[Symbol.asyncDispose]();
  await follower.has();
  assert.deepEqual(await filesOf(dir, "web"), []);
  await assert.rejects(writer.register("web", up(testNode(1)), soon()), /the session is closed/);
});

Deno.test("file: a renewed lease lasts many times its TTL without events", async () => {
  await using dir = new TempDir();
  await using session = await open(dir, { ttlMs: 200 });
  await using follower = new GuardedFollower(session, "web");
  await session.register("web", up(testNode(1)), soon());
  await follower.has(1);
  const path = dir.file("registry/web/web.test:1.json");
  const first = await Deno.stat(path);
  const renewals = new Set<number | undefined>();
  await eventually("it was renewed ten times", async () => {
    renewals.add((await Deno.stat(path)).mtime?.getTime());
    return renewals.size > 10;
  });
  await session.register("web", up(testNode(1)), soon());
  assert.equal((await Deno.stat(path)).ino, first.ino, "it is still the same file");
  assert.equal(follower.snapshots.length, 1);
});

Deno.test("file: the node of a killed process is removed when its lease expires", async () => {
  await using dir = new TempDir();
  await using reader = await open(dir);
  await using follower = new GuardedFollower(reader, "web");
  await using first = new Reporter(dir, 1);
  await using _second = new Reporter(dir, 2);
  await follower.has(1, 2);
  first.kill("SIGKILL");
  await follower.has(2);
  assert.match(reader.context.lines.join("\n"), /info Lease expired .*entry=web.test:1.json/);
  assert.deepEqual(await filesOf(dir, "web"), ["web.test:1.json", "web.test:2.json"], "the file is there for a while");
});

Deno.test("file: the node of a suspended process returns when it resumes", async () => {
  await using dir = new TempDir();
  await using reader = await open(dir);
  await using follower = new GuardedFollower(reader, "web");
  await using reporter = new Reporter(dir, 1);
  await follower.has(1);
  reporter.kill("SIGSTOP");
  await follower.has();
  reporter.kill("SIGCONT");
  await follower.has(1);
});

Deno.test("file: files of dead processes are removed eventually, and nothing else is", async () => {
  await using dir = new TempDir();
  await using reader = await open(dir, { ttlMs: 150 });
  const lease = { ...testNode(1), owner: "dead", ttl: 0.15 };
  await dir.write("registry/web/web.test:1.json", JSON.stringify(lease));
  await dir.write("registry/web/.web.test:3.json.dead.tmp", "{");
  await dir.write("registry/web/web.test:2.json", JSON.stringify(testNode(2)));
  await dir.write("registry/web/notes.txt", "mine");
  await dir.write("registry/web/rubbish.json", "?");
  await using follower = new GuardedFollower(reader, "web");
  await eventually("the dead are gone", async () => (await filesOf(dir, "web")).length === 3);
  assert.deepEqual(await filesOf(dir, "web"), ["notes.txt", "rubbish.json", "web.test:2.json"]);
  await follower.has(2);
});

Deno.test("file: a reader that starts gives nodes of unknown age the time of one lease", async () => {
  await using dir = new TempDir();
  const path = await dir.write(
    "registry/web/web.test:1.json",
    JSON.stringify({ ...testNode(1), owner: "x", ttl: 0.4 }),
  );
  const longAgo = new Date(Date.now() - 3_600_000);
  await Deno.utime(path, longAgo, longAgo);
  await using reader = await open(dir);
  await using follower = new GuardedFollower(reader, "web");
  await follower.has();
  assert.deepEqual(follower.snapshots, [{ nodes: [] }]);

  await using other = await open(dir);
  await using patient = new GuardedFollower(other, "web");
  // Live processes have renewed within that time.
  await Deno.utime(path, new Date(), new Date());
  await patient.has(1);
  assert.deepEqual(patient.snapshots.map(({ nodes }) => nodes.length), [1]);
});

Deno.test("file: a clock jump ends no lease", async () => {
  await using dir = new TempDir();
  let jumpMs = 0;
  const wallMs = () => Date.now() + jumpMs;
  await using reader = await open(dir, { wallMs, ttlMs: 300 });
  await using writer = await open(dir, { wallMs, ttlMs: 300 });
  await using follower = new GuardedFollower(reader, "web");
  await writer.register("web", up(testNode(1)), soon());
  await follower.has(1);
  for (const jump of [86_400_000, -86_400_000]) {
    jumpMs = jump;
    await writer.register("web", up(testNode(2)), soon());
    await follower.has(1, 2);
    const path = dir.file("registry/web/web.test:1.json");
    const before = (await Deno.stat(path)).mtime?.getTime();
    await eventually("it is renewed", async () => (await Deno.stat(path)).mtime?.getTime() !== before);
    await writer.deregister("web", up(testNode(2)), soon());
    await follower.has(1);
  }
  assert.ok(follower.counts.every((count) => count > 0));
});

Deno.test("file: invalid files are left out with one line each, and the others are served", async () => {
  await using dir = new TempDir();
  await using session = await open(dir);
  await session.register("web", up(testNode(1)), soon());
  await dir.write("registry/web/half.json", `{"host": "web.te`);
  await dir.write("registry/web/empty.json", "");
  await dir.write("registry/web/hostile.json", JSON.stringify({ host: "a\nshutdown", ip: "127.0.0.1", port: 1 }));
  await dir.write("registry/web/large.json", JSON.stringify({ ...testNode(9), metadata: "x".repeat(2_000_000) }));
  await dir.write("registry/web/twice.json", JSON.stringify(testNode(1)));
  await dir.write("registry/web/.hidden.json", JSON.stringify(testNode(8)));
  await Deno.mkdir(dir.file("registry/web/folder.json"));
  await using follower = new GuardedFollower(session, "web");
  await follower.has(1);
  const complaints = () => session.context.lines.filter((line) => line.startsWith("warn"));
  assert.equal(complaints().length, 5, complaints().join("\n"));
  await dir.write("registry/web/by-hand.json", JSON.stringify(testNode(2)));
  await follower.has(1, 2);
  await dir.write("registry/web/half.json", JSON.stringify(testNode(3)));
  await follower.has(1, 2, 3);
  assert.equal(complaints().length, 5, complaints().join("\n"));
});

Deno.test("file: anything but a small JSON file is left out, logged safely, and neither followed nor waited for", async () => {
  await using dir = new TempDir();
  await using session = await open(dir);
  await session.register("web", up(testNode(1)), soon());
  const web = dir.file("registry/web");
  await dir.write("elsewhere.json", JSON.stringify(testNode(7)));
  const made = await new Deno.Command("mkfifo", { args: [`${web}/fifo.json`] }).output();
  assert.ok(made.success);
  for (const target of [dir.file("elsewhere.json"), "/etc/shadow", "/dev/zero", dir.file("nowhere")]) {
    await Deno.symlink(target, `${web}/link-${target.replaceAll("/", "-")}.json`);
  }
  await dir.write("registry/web/sparse.json", "");
  await Deno.truncate(`${web}/sparse.json`, 5 * 1024 ** 3);
  await dir.write("registry/web/brackets.json", "[".repeat(200_000) + "]".repeat(200_000));
  await dir.write("registry/web/\u001b[2J\n\u202eforged.json", "{");
  await using follower = new GuardedFollower(session, "web");
  await follower.has(1);
  await dir.write("registry/web/by-hand.json", JSON.stringify(testNode(2)));
  await follower.has(1, 2);
  const said = session.context.lines.join("|");
  for (const name of ["brackets", "sparse", "forged"]) assert.match(said, new RegExp(`warn .*${name}"`));
  // deno-lint-ignore no-control-regex -- the log must contain none.
  assert.doesNotMatch(said, /[\u0000-\u001f\u202e]|root:/);
  assert.deepEqual(JSON.parse(await Deno.readTextFile(dir.file("elsewhere.json"))), testNode(7));
});

Deno.test("file: a cluster that does not exist yet is waited for", async () => {
  await using dir = new TempDir();
  await using session = await open(dir);
  await using follower = new GuardedFollower(session, "web");
  await eventually("it waits", () => session.context.lines.some((line) => line.includes("does not exist")));
  await session.register("web", up(testNode(1)), soon());
  await follower.has(1);
  assert.deepEqual(follower.counts, [1], "an empty cluster was never told");
});

Deno.test("file: clusters without registrations are not polled one by one", async () => {
  await using dir = new TempDir();
  await using session = await open(dir, { ttlMs: 200 });
  await Deno.mkdir(dir.file("registry"));
  await using follower = new GuardedFollower(session, "web");
  await eventually("it waits", () => session.context.lines.some((line) => line.includes("does not exist")));
  const { stat } = Deno;
  const looks = { all: 0, cluster: 0 };
  try {
    Deno.stat = (path) => {
      if (path === dir.file("registry")) looks.all++;
      if (path === dir.file("registry/web")) looks.cluster++;
      return stat(path);
    };
    await eventually("it has polled", () => looks.all >= 10);
  } finally {
    Deno.stat = stat;
  }
  assert.ok(looks.cluster <= 2, `${looks.cluster} looks at it in ${looks.all} polls`);
  await session.register("web", up(testNode(1)), soon());
  await follower.has(1);
});

Deno.test("file: a reader creates no directory", async () => {
  await using dir = new TempDir();
  await using session = await open(dir);
  await using follower = new GuardedFollower(session, "web");
  await eventually("it has looked", () => session.context.states.length > 0);
  assert.deepEqual(follower.snapshots, []);
  await assert.rejects(Deno.stat(dir.file("registry")), Deno.errors.NotFound);
});

Deno.test("file: an empty directory is a cluster without nodes", async () => {
  await using dir = new TempDir();
  await using session = await open(dir);
  await Deno.mkdir(dir.file("registry/web"), { recursive: true });
  await using follower = new GuardedFollower(session, "web");
  await follower.has();
});

Deno.test.each([{ what: "the cluster's directory", path: "registry/web" }, { what: "the registry", path: "registry" }])(
  "file: when $what is removed, no node is, and it is followed when it is created again",
  async ({ path }) => {
    await using dir = new TempDir();
    await using reader = await open(dir);
    await using follower = new GuardedFollower(reader, "web");
    for (let round = 1; round <= 3; round++) {
      await dir.write("registry/web/web.test:1.json", JSON.stringify(testNode(1)));
      await dir.write(`registry/web/web.test:${round + 1}.json`, JSON.stringify(testNode(round + 1)));
      await follower.has(1, round + 1);
      // A directory that is moved away is gone at once; one that is removed file by file is truly emptied.
      await Deno.rename(dir.file(path), dir.file(`gone-${round}`));
      const missed = () => reader.context.lines.filter((line) => line.includes("does not exist")).length;
      await eventually("it is missed", () => missed() === round);
      assert.deepEqual(follower.ports, [1, round + 1]);
    }
    assert.ok(follower.counts.every((count) => count > 0), "it was never told to be empty");
  },
);

Deno.test("file: a removed or damaged node file is written again with the next renewal", async () => {
  await using dir = new TempDir();
  // Present from the start, so that it is watched by the time its file disappears briefly.
  await Deno.mkdir(dir.file("registry/web"), { recursive: true });
  await using session = await open(dir);
  await using follower = new GuardedFollower(session, "web");
  await session.register("web", up(testNode(1)), soon());
  await follower.has(1);
  const path = dir.file("registry/web/web.test:1.json");
  await Deno.remove(path);
  await follower.isEmpty();
  await eventually("it is written again", () => follower.facts.at(-1)?.nodes.length === 1);
  assert.deepEqual(follower.counts, [1], "it never left");
  await Deno.writeTextFile(path, "rubbish");
  await eventually("it is right again", async () => (await Deno.readTextFile(path)).includes(`"port": 1,`));
  await Deno.remove(dir.file("registry"), { recursive: true });
  await eventually("it is there again", () => Deno.stat(path));
  await Deno.remove(path);
  await session.register("web", up(testNode(1)), soon());
  assert.ok((await Deno.stat(path)).isFile, "registering looks at the file");
});

Deno.test("file: a node is taken over from a live session, and stays when that one ends", async () => {
  await using dir = new TempDir();
  await using reader = await open(dir);
  await using follower = new GuardedFollower(reader, "web");
  const old = await open(dir, { ttlMs: 300 });
  await old.register("web", up(testNode(1)), soon());
  await follower.has(1);
  await using next = await open(dir);
  await next.register("web", up(testNode(1)), soon());
  await eventually(
    "the old one lets go",
    () => old.context.lines.some((line) => line.includes("taken over by another session")),
  );
  await old[Symbol.asyncDispose]();
  assert.deepEqual(await filesOf(dir, "web"), ["web.test:1.json"]);
  assert.deepEqual(follower.counts, [1], "it never left");
  await reader.deregister("web", up(testNode(1)), soon());
  await follower.isEmpty();
});

Deno.test("file: a node that another session has taken over stays when the old one releases it", async () => {
  await using dir = new TempDir();
  await using old = await open(dir, { ttlMs: 60_000 });
  await using next = await open(dir);
  await old.register("web", up(testNode(1)), soon());
  await next.register("web", up(testNode(1)), soon());
  await dir.write("registry/web/web.test:2.json", JSON.stringify(testNode(2)));
  await old.deregisterOwn("web", up(testNode(1)), soon());
  await old.deregisterOwn("web", up(testNode(2)), soon());
  assert.deepEqual(await filesOf(dir, "web"), ["web.test:1.json", "web.test:2.json"], "one is another's, one nobody's");
  await next.deregisterOwn("web", up(testNode(1)), soon());
  await next.deregisterOwn("web", up(testNode(1)), soon());
  await next.deregisterOwn("nowhere", up(testNode(1)), soon());
  assert.deepEqual(await filesOf(dir, "web"), ["web.test:2.json"]);
});

Deno.test("file: nothing is written or removed through a cluster's directory that is a symbolic link", async () => {
  await using dir = new TempDir();
  const ttlMs = 150;
  await using session = await open(dir, { ttlMs });
  await session.register("web", up(testNode(1)), soon());
  await Deno.rename(dir.file("registry/web"), dir.file("elsewhere"));
  const lease = { ...testNode(3), owner: "dead", ttl: 0.1 };
  await dir.write("elsewhere/web.test:3.json", JSON.stringify(lease));
  await Deno.symlink(dir.file("elsewhere"), dir.file("registry/web"));
  const before = await Array.fromAsync(Deno.readDir(dir.file("elsewhere")), ({ name }) => name);
  const refusal = /Cannot write to .*\/registry\/web: must be a directory, not a symbolic link/;
  await assert.rejects(session.register("web", up(testNode(2)), soon()), refusal);
  await assert.rejects(session.deregister("web", up(testNode(1)), soon()), refusal);
  await assert.rejects(session.deregisterOwn("web", up(testNode(1)), soon()), refusal);
  assert.match(session.context.details.at(-1) ?? "", refusal);

  await Deno.symlink(dir.file("nowhere"), dir.file("registry/dangling"));
  await assert.rejects(session.register("dangling", up(testNode(1)), soon()), /symbolic link/);
  await assert.rejects(Deno.stat(dir.file("nowhere")), Deno.errors.NotFound);

  await using _follower = new GuardedFollower(session, "web");
  await eventually("the dead one was silent for so long that a reader would remove it", async () => {
    const { mtime } = await Deno.stat(dir.file("elsewhere/web.test:3.json"));
    return Date.now() - (mtime?.getTime() ?? 0) > 20 * ttlMs;
  });
  const after = await Array.fromAsync(Deno.readDir(dir.file("elsewhere")), ({ name }) => name);
  assert.deepEqual(after.toSorted(), before.toSorted());
});

Deno.test("file: an unreadable registry empties no cluster, and is read again once readable", async () => {
  await using dir = new TempDir();
  await using session = await open(dir);
  await using follower = new GuardedFollower(session, "web");
  await session.register("web", up(testNode(1)), soon());
  await follower.has(1);
  await Deno.rename(dir.file("registry"), dir.file("aside"));
  await Deno.writeTextFile(dir.file("registry"), "a file in the directory's place");
  await eventually("the outage is reported", () => session.context.states.at(-1) === "disconnected");
  await assert.rejects(session.register("web", up(testNode(2)), soon()), /Not a directory/);
  assert.deepEqual(follower.ports, [1]);
  await Deno.remove(dir.file("registry"));
  await Deno.rename(dir.file("aside"), dir.file("registry"));
  await eventually("the recovery is reported", () => session.context.states.at(-1) === "connected");
  await session.register("web", up(testNode(2)), soon());
  await follower.has(1, 2);
  assert.ok(follower.counts.every((count) => count > 0));
});

Deno.test("file: an aborted connection deregisters its nodes", async () => {
  await using dir = new TempDir();
  await using reader = await open(dir);
  await using follower = new GuardedFollower(reader, "web");
  const session = await open(dir);
  await session.register("web", up(testNode(1)), soon());
  await follower.has(1);
  session.context.abort();
  await follower.has();
  await session[Symbol.asyncDispose]();
  assert.deepEqual(await filesOf(dir, "web"), []);
});

Deno.test("file: hundreds of nodes that are added and removed at the same time are all reported", async () => {
  await using dir = new TempDir();
  // So that no lease expires where the renewal of 300 files takes seconds.
  await using reader = await open(dir, { ttlMs: 60_000 });
  await using writer = await open(dir, { ttlMs: 60_000 });
  await using follower = new GuardedFollower(reader, "web");
  const nodes = Array.from({ length: 300 }, (_, at) => testNode(at + 1));
  await Promise.all(nodes.map((node) => writer.register("web", up(node), soon())));
  await eventually("all are there", () => follower.ports?.length === 300);
  assert.deepEqual(follower.names, follower.names?.toSorted());
  await Promise.all(nodes.slice(10).map((node) => writer.deregister("web", up(node), soon())));
  await eventually("most are gone", () => follower.ports?.length === 10);
});

Deno.test("file: a node with an IPv6 name has a file like any other", async () => {
  await using dir = new TempDir();
  await using session = await open(dir);
  await using follower = new GuardedFollower(session, "web");
  await session.register("web", up({ host: "fe80::1", ip: "fe80::1", port: 80, metadata: {} }), soon());
  await eventually("it is seen", () => follower.names?.[0] === "fe80::1:80");
  assert.deepEqual(await filesOf(dir, "web"), ["fe80::1:80.json"]);
});

Deno.test.each([{ cluster: "../etc" }, { cluster: ".." }, { cluster: "" }, { cluster: ".x" }, { cluster: "a\u0000b" }])(
  "file: $cluster cannot be the name of a cluster",
  async ({ cluster }) => {
    await using dir = new TempDir();
    await using session = await open(dir);
    await assert.rejects(
      session.register(cluster, up(testNode(1)), soon()),
      /Cannot use cluster .*: must be a file name without a slash/,
    );
    await using follower = new GuardedFollower(session, cluster);
    await eventually("the watch throws", () => follower.error instanceof TypeError);
  },
);

Deno.test("file: a node whose name would leave the directory is rejected", async () => {
  await using dir = new TempDir();
  await using session = await open(dir);
  const node = { ...testNode(1), host: "../../etc/cron.d/x" };
  await assert.rejects(session.register("web", up(node), soon()), /host must be a host name/);
});

Deno.test("file: in a worker it works with the permissions it requests, and with no fewer", async () => {
  await using dir = new TempDir();
  const config = await configured(file, { path: dir.file("deep/registry"), ttl: 1 });
  const scope = { instance: "file" };
  const granted = toDenoPermissions(file.permissions(config, scope));
  assert.deepEqual([granted.net, granted.read, granted.write], [[], [config.path], [config.path]]);
  const start = async (permissions: Deno.PermissionOptionsObject) => {
    const events: WorkerEvent[] = [];
    const onEvent = (event: WorkerEvent) => events.push(event);
    const host: PluginHost = new PluginHost({
      name: "file",
      module: "builtin:discovery/file",
      permissions,
      clock: systemClock,
      onEvent: (event) => {
        onEvent(event);
        if (event.type === "snapshot") host.post({ type: "taken", cluster: event.snapshot.cluster });
      },
    });
    await host.loaded();
    await host.call({ type: "start", instance: "file", config, scope }, { deadlineMs: 60_000 });
    return Object.assign(host, { events });
  };
  const registration = up(testNode(1));
  const register = { type: "register", cluster: "web", registration, timeoutMs: 60_000 } as const;
  await using host = await start(granted);
  host.post({ type: "watch", cluster: "web" });
  await host.call(register, { deadlineMs: 60_000 });
  await eventually("the snapshot comes", () => {
    return host.events.findLast((event) => event.type === "snapshot")?.snapshot.nodes[0]?.port === 1;
  });
  await host.stop({ graceMs: 5_000 });
  assert.deepEqual(await Array.fromAsync(Deno.readDir(dir.file("deep/registry/web"))), []);

  await using other = await start(toDenoPermissions({ read: [config.path] }));
  const refused = other.call({ ...register }, { deadlineMs: 60_000 });
  await assert.rejects(refused, /Requires write access/);
});
