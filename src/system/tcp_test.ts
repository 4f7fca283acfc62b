import assert from "node:assert/strict";
import { connectTcp } from "./tcp.ts";

/** A listener on loopback, and its address. */
function listen() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = { host: "127.0.0.1", port: listener.addr.port };
  return { listener, address, [Symbol.dispose]: () => listener.close() };
}

Deno.test("connectTcp closes a connection that is established while the signal is aborted", async () => {
  using server = listen();
  const controller = new AbortController();
  const { connect } = Deno;
  using stack = new DisposableStack();
  stack.defer(() => Object.assign(Deno, { connect }));
  // Runtime 2.9 in slow motion: the kernel has connected, the abort comes first, and the connection is delivered.
  Object.assign(Deno, {
    connect: async ({ hostname, port, signal }: Deno.ConnectOptions & { readonly signal?: AbortSignal }) => {
      const connection = await connect({ hostname: hostname ?? "", port });
      controller.abort(new Error("closing"));
      signal?.throwIfAborted();
      return connection;
    },
  });
  // A connection that stays open fails this test as a leak.
  await assert.rejects(connectTcp(server.address, controller.signal), /^Error: closing$/);
});

Deno.test("connectTcp ends a pending connect with the reason of the abort", async () => {
  using server = listen();
  const controller = new AbortController();
  const connecting = connectTcp(server.address, controller.signal);
  controller.abort(new Error("closing"));
  await assert.rejects(connecting, /^Error: closing$/);
  await assert.rejects(connectTcp(server.address, controller.signal), /^Error: closing$/);
});

Deno.test("connectTcp reports an address that rejects the connection", async () => {
  const server = listen();
  server[Symbol.dispose]();
  await assert.rejects(connectTcp(server.address, new AbortController().signal), Deno.errors.ConnectionRefused);
});
