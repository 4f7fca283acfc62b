import assert from "node:assert/strict";
import { NameServer } from "../support/dnsmasq.ts";
import { eventually } from "../support/eventually.ts";
import { GrpcServer } from "../support/grpc_server.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { PostgresServer } from "../support/postgres.ts";
import { TempDir } from "../support/temp_dir.ts";

const THRESHOLDS = { rise: 1, fall: 1, timeout: 10 };

/** The number of registered nodes of a cluster. */
async function nodesOf(dir: TempDir, cluster: string): Promise<number> {
  try {
    const names = await Array.fromAsync(Deno.readDir(dir.file(`registry/${cluster}`)), ({ name }) => name);
    return names.filter((name) => !name.startsWith(".")).length;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** Gives a target the data that a check needs to probe it. */
function at(target: string): { readonly host: string; readonly port: number } {
  const [host = "", port] = target.split(":");
  return { host, port: Number(port) };
}

Deno.test("a reporter with the flags of its task registers services that pass, and deregisters one that fails", async () => {
  await using dir = new TempDir();
  await using names = await NameServer.start(["host-record=web.test,192.0.2.1"]);
  await using calls = await GrpcServer.start();
  await using database = await PostgresServer.start();
  const checks = {
    interval: 0.1,
    exec: { command: "/bin/sh", args: ["-c", "test {port} = 8000"], ...THRESHOLDS },
    file: { path: dir.file("out"), ...THRESHOLDS },
    noop: THRESHOLDS,
    dns: { name: "web.test", ...at(names.target), ...THRESHOLDS },
    grpc: { service: "web", ...at(calls.target), ...THRESHOLDS },
    postgres: { user: "health", password: "s3cret", database: "postgres", ...at(database.target), ...THRESHOLDS },
  };
  // JSON is YAML too.
  await dir.write("config/discovery/file.yaml", JSON.stringify({ path: dir.file("registry") }));
  await dir.write("config/services/web.yaml", JSON.stringify({ discovery: "file", port: 8000, checks }));
  const drill = { interval: 0.1, noop: { status: "fail", ...THRESHOLDS } };
  await dir.write("config/services/drill.yaml", JSON.stringify({ discovery: "file", port: 8001, checks: drill }));

  await using reporter = Lighthouse.start("reporter", dir.file("config"));
  const isRegistered = (count: number) => async () => {
    assert.equal(await nodesOf(dir, "web"), count, reporter.log);
    return true;
  };
  await eventually("all pass", isRegistered(1));
  await dir.write("out", "disk is changed");
  await eventually("it is taken out", isRegistered(0));
  await reporter.event("check.down", { reason: /out exists: "disk is changed"/ });
  await Deno.remove(dir.file("out"));
  await eventually("it is back", isRegistered(1));
  await reporter.event("check.down", { reason: /^Fails as configured/ });
  assert.equal(await nodesOf(dir, "drill"), 0);
  assert.equal(await reporter.stop(), 0, reporter.log);
  assert.equal(await nodesOf(dir, "web"), 0);
  assert.doesNotMatch(reporter.log, /s3cret/);
});
