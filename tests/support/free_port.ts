/** The ports handed out here: their users may not listen yet. */
const given = new Set<number>();

/** Returns a TCP port on loopback that nobody listened on a moment ago, a different one each time. */
export function freePort(): number {
  for (;;) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    if (given.has(port)) continue;
    given.add(port);
    return port;
  }
}
