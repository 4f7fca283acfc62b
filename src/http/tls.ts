/** Server certificates and key, PEM. */
export interface TlsPem {
  readonly cert: string;
  readonly key: string;
  /** The authority of client certificates; without it none is requested. */
  readonly clientCa?: string | undefined;
}

/** Throws an error with the reason if certificates are unusable: `node:tls` would only fail at each handshake. */
export function tryCertificates({ cert, key, clientCa }: TlsPem): void {
  Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
  if (clientCa !== undefined && !clientCa.includes("-----BEGIN CERTIFICATE-----")) {
    throw new Error("Cannot use the client CA: the file contains no PEM certificate");
  }
}
