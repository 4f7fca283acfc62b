/** The ports that were given away here: what they are for may not listen yet. */
const given = new Set<number>();

/** Answers a TCP port on loopback that nobody listened on a moment ago, and another one each time. */
export function freePort(): number {
  for (;;) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    if (given.has(port)) continue;
    given.add(port);
    return port;
  }
}
