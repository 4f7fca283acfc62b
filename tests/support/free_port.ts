/** The ports handed out here: their users may not listen yet. */
const given = new Set<number>();

/**
 * From here on, to where the system begins to take ports for itself: a port
 * of its range may be that of somebody's outgoing connection by the time that
 * a server wants to listen on it. See ip_local_port_range in ip(7).
 */
const [FIRST, END] = [12_000, 32_000] as const;

/** Returns a TCP port on loopback that nobody listened on a moment ago, a different one each time. */
export function freePort(): number {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (END - FIRST));
    if (given.has(port)) continue;
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) continue;
      throw error;
    }
    given.add(port);
    return port;
  }
}
