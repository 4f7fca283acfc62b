/** Where a TCP server is: a name or an address, and its port. */
export interface TcpAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Connects to the first address of a name that answers: the next one is tried
 * when one refuses, or has not answered within a quarter of a second. The one
 * way to connect over TCP in this project, by `Deno.connect`: the permission
 * for `name:port` covers all addresses of the name there. In `node:net`, and
 * all that is built on it, it covers the first alone, and the attempt to use the
 * second one is lost without an error or an end.
 */
export async function connectTcp({ host, port }: TcpAddress, signal: AbortSignal): Promise<Deno.TcpConn> {
  signal.throwIfAborted();
  return await Deno.connect({ hostname: host, port, signal });
}
