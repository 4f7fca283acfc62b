import assert from "node:assert/strict";
import { TempDir } from "../support/temp_dir.ts";
import { askOverHttp } from "../../src/balance/http_socket.ts";
import { NobodyListensError, SocketSilentError } from "../../src/balance/runtime_socket.ts";

const { signal } = new AbortController();

Deno.test("askOverHttp() returns the body of each path, in order", async () => {
  await using dir = new TempDir();
  const path = dir.file("socket");
  await using _server = Deno.serve(
    { path, onListen() {} },
    (request) => new Response(`${new URL(request.url).pathname}\n`),
  );
  assert.deepEqual(await askOverHttp(path, ["/a", "/b"], { signal }), ["/a", "/b"]);
});

Deno.test("askOverHttp() reports that nobody listens", async () => {
  await using dir = new TempDir();
  await assert.rejects(askOverHttp(dir.file("socket"), ["/"], { signal }), NobodyListensError);
});

Deno.test("askOverHttp() handles other statuses, invalid HTTP, silence, and its own abort", async () => {
  await using dir = new TempDir();
  const path = dir.file("socket");
  using listener = Deno.listen({ transport: "unix", path });
  const answers = ["HTTP/1.0 500 No\r\n\r\nx", "hello", undefined, undefined];
  const held: Deno.UnixConn[] = [];
  const serving = (async () => {
    for (const answer of answers) {
      const connection = await listener.accept();
      if (answer === undefined) held.push(connection);
      else {
        await connection.read(new Uint8Array(1_000));
        await connection.write(new TextEncoder().encode(answer));
        connection.close();
      }
    }
  })();
  await assert.rejects(
    askOverHttp(path, ["/"], { signal }),
    /Unexpected response to GET \/ at .*: expected status 200, received 500/,
  );
  await assert.rejects(
    askOverHttp(path, ["/"], { signal }),
    /Unexpected response to GET \/ at .*: expected status 200, received no HTTP status/,
  );
  await assert.rejects(askOverHttp(path, ["/"], { signal, deadlineMs: 50 }), SocketSilentError);
  const stop = new AbortController();
  const asked = askOverHttp(path, ["/"], { signal: stop.signal });
  stop.abort(new Error("stopped"));
  await assert.rejects(asked, /stopped/);
  await serving;
  for (const connection of held) connection.close();
});
