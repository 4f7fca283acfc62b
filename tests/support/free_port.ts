/** The ports that were returned here: their users may not listen yet. */
const given = new Set<number>();

/**
 * The range below the system's own range, whose ports may be used by outgoing connections by the time that a
 * server wants to listen, and above the ports that tests write down for nodes: one at a frontend's own address would be
 * skipped. See ip_local_port_range in ip(7).
 */
const [FIRST, END] = [22_000, 32_000] as const;

/** Programs that run at the same time claim their ports by files in this directory. */
const CLAIMS = "/tmp/lighthouse-test-ports";
/** A claim lasts for so long if its test file was killed. */
const CLAIM_MS = 1_800_000;

/** Returns a TCP port on loopback without a listener, a different one each time, also in other test files. */
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
    if (!claim(port)) continue;
    given.add(port);
    return port;
  }
}

/** Claims a port; returns whether no other program has it, as far as this one may know. */
function claim(port: number): boolean {
  const path = `${CLAIMS}/${port}`;
  try {
    Deno.mkdirSync(CLAIMS, { recursive: true });
    Deno.openSync(path, { write: true, createNew: true }).close();
    return true;
  } catch (error) {
    // Without permission to write there, the check of the port alone must do.
    if (!(error instanceof Deno.errors.AlreadyExists)) return true;
  }
  try {
    if (Date.now() - (Deno.statSync(path).mtime?.getTime() ?? 0) < CLAIM_MS) return false;
    Deno.utimeSync(path, new Date(), new Date());
    return true;
  } catch (error) {
    // The other program has just ended, or is another user's.
    return !(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied);
  }
}

globalThis.addEventListener("unload", () => {
  for (const port of given) {
    try {
      Deno.removeSync(`${CLAIMS}/${port}`);
    } catch {
      // Another file has claimed it after its time.
    }
  }
});
