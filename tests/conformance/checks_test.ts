import { RedisServer } from "../support/redis.ts";
import { answers, receive, ScriptedServer, sends } from "../support/scripted_server.ts";
import { checkConforms } from "./suite.ts";

checkConforms({
  source: { module: "builtin:check/http", origin: "builtin" },
  name: "http",
  config: { uri: "/" },
  healthy: () => new ScriptedServer(answers("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")),
});

checkConforms({
  source: { module: "builtin:check/tcp", origin: "builtin" },
  name: "tcp",
  config: { query: "ruok", response: "imok" },
  healthy: () =>
    new ScriptedServer(async (connection) => {
      await receive(connection, "ruok");
      await sends("imok")(connection);
    }),
});

checkConforms({
  source: { module: "builtin:check/redis", origin: "builtin" },
  name: "redis",
  config: { password: "s3cret" },
  healthy: () => RedisServer.start(["requirepass s3cret"]),
});
