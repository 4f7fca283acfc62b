/** Address of a TCP server: a name or an IP address, and its port. */
export interface TcpAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Connects to the first address of a name that answers: the next one is tried when one rejects the
 * connection, or has not answered within a quarter of a second. The only way to connect over TCP in
 * this project, by `Deno.connect`: there, the permission for `name:port` covers all addresses of the
 * name. In `node:net`, and all that is built on it, the permission covers only the first, and the
 * attempt to use the second one is lost without an error or an end.
 */
export async function connectTcp({ host, port }: TcpAddress, signal: AbortSignal): Promise<Deno.TcpConn> {
  signal.throwIfAborted();
  const pending = new AbortController();
  // An abort between the kernel's connect and its delivery makes `Deno.connect` throw and forget the connection, which
  // then stays open until this process exits. Without this check it is returned, and closed below.
  Object.defineProperty(pending.signal, "throwIfAborted", { value: () => {} });
  const abort = () => pending.abort(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    const connection = await Deno.connect({ hostname: host, port, signal: pending.signal });
    if (signal.aborted) connection.close();
    signal.throwIfAborted();
    return connection;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
