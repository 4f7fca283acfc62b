import { assertUnnoticed, changesReach, FaultStage } from "../support/fault_stage.ts";
import { makeCertificates } from "../support/certificates.ts";
import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { TempDir } from "../support/temp_dir.ts";

const WEB = "/lighthouse/services/web/";

/** A host in service with etcd as its registry. */
function stageWith(config: Readonly<Record<string, unknown>>): Promise<FaultStage> {
  return FaultStage.set({ registry: { type: "etcd", config: { session_timeout: 2, ...config } } });
}

/** Waits until this many nodes are registered. */
async function untilRegistered(etcd: Etcd, count: number, ...user: readonly string[]): Promise<void> {
  await eventually(`${count} are registered`, async () => {
    const text = await etcd.ctl(...user, "get", "--prefix", "--keys-only", `${WEB}t`);
    return text.split("\n").filter((line) => line !== "").length === count;
  });
}

/** Kills and restarts etcd: no request may fail, and changes must still apply. */
async function survivesKill(
  t: Deno.TestContext,
  etcd: Etcd,
  config: Readonly<Record<string, unknown>>,
  healed: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  await using stage = await stageWith(config);
  const aftermath = await stage.during(async () => {
    await etcd.end("SIGKILL");
    await stage.writer.event("registry.unreachable");
    await etcd.start();
    await healed();
    await changesReach(stage);
  });
  assertUnnoticed(t, aftermath);
}

Deno.test("etcd is killed and restarted: no request fails, and every node is registered", async (t) => {
  await using etcd = await Etcd.start();
  await survivesKill(t, etcd, { endpoints: [etcd.address] }, () => untilRegistered(etcd, 3));
});

Deno.test("etcd is killed and restarted, over TLS with a client certificate: no request fails", async (t) => {
  await using dir = new TempDir();
  const pem = await makeCertificates(dir);
  const args = ["--cert-file", pem.good, "--key-file", pem.key, "--client-cert-auth", "--trusted-ca-file", pem.ca];
  await using etcd = await Etcd.start({ args, scheme: "https", isOpen: false });
  const tls = { ca: pem.ca, cert: pem.good, key: pem.key };
  await survivesKill(t, etcd, { endpoints: [`https://${etcd.address}`], tls });
});

Deno.test("etcd is silent for longer than a session: no request fails, and every node is registered again", async (t) => {
  await using etcd = await Etcd.start();
  await using stage = await stageWith({ endpoints: [etcd.address] });
  const aftermath = await stage.during(async () => {
    etcd.pause();
    await stage.writer.event("registry.unreachable");
    etcd.resume();
    await untilRegistered(etcd, 3);
    await changesReach(stage);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("etcd returns without its data: no request fails, and every node is registered again", async (t) => {
  await using etcd = await Etcd.start();
  await using stage = await stageWith({ endpoints: [etcd.address] });
  const aftermath = await stage.during(async () => {
    await etcd.wipe();
    await etcd.start();
    await untilRegistered(etcd, 3);
    await changesReach(stage);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("etcd is restored from a backup without nodes: no request fails, and every node is registered again", async (t) => {
  await using etcd = await Etcd.start();
  for (let at = 0; at < 5; at++) await etcd.ctl("put", "/elsewhere", String(at));
  await etcd.end("SIGTERM");
  await etcd.backUp();
  await etcd.start();
  await using stage = await stageWith({ endpoints: [etcd.address] });
  const aftermath = await stage.during(async () => {
    await etcd.end("SIGKILL");
    await etcd.restore();
    await etcd.start();
    await untilRegistered(etcd, 3);
    await changesReach(stage);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("etcd's history is compacted while it is unreachable: no request fails, and changes are seen", async (t) => {
  await using etcd = await Etcd.start();
  await using stage = await stageWith({ endpoints: [etcd.address] });
  const aftermath = await stage.during(async () => {
    await etcd.end("SIGTERM");
    await stage.writer.event("registry.unreachable");
    await etcd.start();
    for (let at = 0; at < 20; at++) await etcd.ctl("put", "/elsewhere", String(at));
    const [{ Status: { header } }] = JSON.parse(await etcd.ctl("endpoint", "status", "--write-out=json"));
    await etcd.ctl("compact", String(header.revision));
    await changesReach(stage);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("the leader of three servers is killed, then silent, then returns: no request fails", async (t) => {
  await using members = await Etcd.cluster();
  const leader = () =>
    eventually("one leads", async () => {
      for (const member of members) if (member.pid !== undefined && await member.leads()) return member;
      return undefined;
    });
  await using stage = await stageWith({ endpoints: members.map(({ address }) => address), session_timeout: 4 });
  const aftermath = await stage.during(async () => {
    const first = await leader();
    await first.end("SIGKILL");
    stage.services[0]!.healthy = false;
    await stage.host.untilServing("web", stage.ports.slice(1));
    await first.start();
    const second = await leader();
    second.pause();
    stage.services[0]!.healthy = true;
    await stage.host.untilServing("web", stage.ports);
    second.resume();
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("tokens expire, and the permission is revoked and restored: no request fails", async (t) => {
  await using etcd = await Etcd.start({ args: ["--auth-token-ttl=1", "--bcrypt-cost=4"] });
  const root = "--user=root:toor";
  for (
    const [command = "", ...args] of [
      ["user", "add", "root:toor"],
      ["user", "grant-role", "root", "root"],
      ["role", "add", "services"],
      ["role", "grant-permission", "services", "readwrite", "--prefix=true", "/lighthouse/services/"],
      ["user", "add", "lighthouse:secret"],
      ["user", "grant-role", "lighthouse", "services"],
      ["auth", "enable"],
    ]
  ) await etcd.ctl(command, ...args);
  await using dir = new TempDir();
  const user = { username: "lighthouse", password_file: await dir.write("password", "secret\n") };
  await using stage = await stageWith({ endpoints: [etcd.address], ...user });
  const aftermath = await stage.during(async () => {
    const prefix = ["--prefix=true", "/lighthouse/services/"];
    await etcd.ctl(root, "role", "revoke-permission", "services", ...prefix);
    stage.services[0]!.healthy = false;
    await stage.reporter.event("registration.failed");
    await etcd.ctl(root, "role", "grant-permission", "services", "readwrite", ...prefix);
    await stage.host.untilServing("web", stage.ports.slice(1));
    stage.services[0]!.healthy = true;
    await stage.host.untilServing("web", stage.ports);
    await untilRegistered(etcd, 3, root);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("somebody deletes all keys: no request fails, and every node is registered again", async (t) => {
  await using etcd = await Etcd.start();
  await using stage = await stageWith({ endpoints: [etcd.address] });
  const aftermath = await stage.during(async () => {
    await etcd.ctl("del", "--prefix", "/lighthouse/");
    await untilRegistered(etcd, 3);
    await changesReach(stage);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("nobody listens at the first endpoint, and the second is killed and restarted: no request fails", async (t) => {
  await using etcd = await Etcd.start();
  await survivesKill(t, etcd, { endpoints: ["127.0.0.1:1", `localhost:${etcd.port}`] });
});

Deno.test("over API 2, etcd is killed and restarted, then returns without its data: no request fails", async (t) => {
  await using etcd = await Etcd.start({ args: ["--enable-v2"] });
  await using stage = await stageWith({ endpoints: [etcd.address], api: "v2" });
  const untilBack = () =>
    eventually("all are registered", async () => {
      const response = await fetch(`http://${etcd.address}/v2/keys${WEB.slice(0, -1)}`);
      return (await response.json()).node.nodes.length === 3;
    });
  const aftermath = await stage.during(async () => {
    await etcd.end("SIGKILL");
    await stage.writer.event("registry.unreachable");
    await etcd.start();
    await untilBack();
    await changesReach(stage);
    await etcd.wipe();
    await etcd.start();
    await untilBack();
    await changesReach(stage);
  });
  assertUnnoticed(t, aftermath);
});
