import { NameServer } from "../support/dnsmasq.ts";
import { freePort } from "../support/free_port.ts";
import { GrpcServer } from "../support/grpc_server.ts";
import { PostgresServer } from "../support/postgres.ts";
import { RedisServer } from "../support/redis.ts";
import { answers, receive, ScriptedServer, sends } from "../support/scripted_server.ts";
import { checkConforms } from "./suite.ts";

/** A placeholder for a service that a check does not use. */
function unseen() {
  return Promise.resolve({ target: `127.0.0.1:${freePort()}`, [Symbol.asyncDispose]: () => Promise.resolve() });
}

checkConforms({
  name: "http",
  config: { uri: "/" },
  healthy: () => new ScriptedServer(answers("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")),
});

checkConforms({
  name: "tcp",
  config: { query: "ruok", response: "imok" },
  healthy: () =>
    new ScriptedServer(async (connection) => {
      await receive(connection, "ruok");
      await sends("imok")(connection);
    }),
});

checkConforms({
  name: "redis",
  config: { password: "s3cret" },
  healthy: () => RedisServer.start(["requirepass s3cret"]),
});

checkConforms({
  name: "file",
  config: { path: "/nobody/takes/this/service/out" },
  healthy: unseen,
  over: "nothing",
});

checkConforms({
  name: "noop",
  config: {},
  healthy: unseen,
  over: "nothing",
});

checkConforms({
  name: "exec",
  config: { command: "/bin/sh", args: ["-c", "exit 0"] },
  endless: { command: "/bin/sleep", args: ["300"] },
  healthy: unseen,
  over: "nothing",
});

checkConforms({
  name: "dns",
  config: { name: "web.test" },
  healthy: () => NameServer.start(["host-record=web.test,192.0.2.1"]),
  over: "udp",
});

checkConforms({
  name: "grpc",
  config: { service: "web" },
  healthy: () => GrpcServer.start(),
});

checkConforms({
  name: "postgres",
  config: { user: "health", password: "s3cret", database: "postgres", query: "SELECT 1", expect: 1 },
  healthy: () => PostgresServer.start(),
});
