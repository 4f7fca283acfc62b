import assert from "node:assert/strict";
import { formatBindAddress, isLocalHost, isLoopback, parseBindAddress } from "./bind_address.ts";
import { formatStatusAddress, parseStatusAddress } from "./status_address.ts";

Deno.test.each([
  { text: "127.0.0.1:9180", address: { host: "127.0.0.1", port: 9180 } },
  { text: "[::1]:9180", address: { host: "::1", port: 9180 } },
  { text: "localhost:0", address: { host: "localhost", port: 0 } },
])("parseBindAddress() reads $text, and formatBindAddress() writes it", ({ text, address }) => {
  assert.deepEqual(parseBindAddress(text), address);
  assert.equal(formatBindAddress(address), text);
});

Deno.test("parseBindAddress() uses a default port only if there is one", () => {
  assert.deepEqual(parseBindAddress("localhost", { defaultPort: 8001 }), { host: "localhost", port: 8001 });
  assert.deepEqual(parseBindAddress("[::1]", { defaultPort: 8001 }), { host: "::1", port: 8001 });
  assert.equal(parseBindAddress("localhost"), undefined);
});

Deno.test.each(["", ":9180", "9180", "::1:9180", "[127.0.0.1]:1", "127.0.0.1:65536", "127.0.0.1:", "a b:1", "[::1"])(
  "parseBindAddress() rejects %j",
  (text) => assert.equal(parseBindAddress(text), undefined),
);

Deno.test("isLoopback() and isLocalHost() accept only the local names of this machine", () => {
  assert.deepEqual(["localhost", "::1", "127.9.9.9"].filter((host) => !isLoopback(host)), []);
  assert.deepEqual(["0.0.0.0", "::", "10.0.0.1", "127.evil.example", "localhost.evil.example"].filter(isLoopback), []);
  assert.deepEqual(
    [
      "localhost",
      "localhost:1",
      "127.0.0.1:9180",
      "[::1]:9180",
      "LocalHost:8001",
      "localhost.",
      "LOCALHOST.:80",
    ].filter((at) => !isLocalHost(at)),
    [],
  );
  assert.deepEqual(
    ["evil.example", "127.0.0.1.evil.example:9180", "", "10.0.0.1:9180", "localhost..", "localhost.evil."].filter(
      isLocalHost,
    ),
    [],
  );
});

Deno.test.each(["127.0.0.1:9180", "[::1]:9180", "unix:/run/lighthouse/writer.sock"])(
  "parseStatusAddress() reads %s, and formatStatusAddress() writes it",
  (text) => {
    const address = parseStatusAddress(text);
    assert.ok(address !== undefined);
    assert.equal(formatStatusAddress(address), text);
  },
);

Deno.test.each(["unix:", "unix:/", "unix:run/x.sock", "unix:/run/", "/run/x.sock", "localhost", "unix:/a\0b"])(
  "parseStatusAddress() rejects %j",
  (text) => assert.equal(parseStatusAddress(text), undefined),
);
