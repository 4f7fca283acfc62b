import type { ClientTls } from "../../src/http/client.ts";

/** The files (PEM) and the name for TLS. */
export interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly serverName?: string | undefined;
}

/** The files that are to be read. */
export function filesOf(tls: TlsFiles | undefined): readonly string[] {
  return [tls?.ca, tls?.cert, tls?.key].filter((path) => path !== undefined);
}

/** Reads the TLS files. Throws if a file cannot be read, or lacks its contents. */
export async function readTls({ ca, cert, key, serverName }: TlsFiles): Promise<ClientTls> {
  const [caPem, certPem, keyPem] = await Promise.all([
    readPem("ca", ca, "CERTIFICATE"),
    readPem("cert", cert, "CERTIFICATE"),
    readPem("key", key, "PRIVATE KEY"),
  ]);
  return { ca: caPem, cert: certPem, key: keyPem, serverName };
}

async function readPem(name: string, path: string | undefined, wanted: string): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const pem = await Deno.readTextFile(path);
  if (pem.includes(`${wanted}-----`)) return pem;
  throw new Error(`Cannot use tls.${name} ${path}: must contain a PEM ${wanted.toLowerCase()}`);
}
