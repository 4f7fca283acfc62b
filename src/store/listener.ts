import type { BindAddress } from "../model/bind_address.ts";
import { type Listener, listenWithClientCertificates } from "./mutual_tls.ts";

/** Certificates and key to listen with, PEM. */
export interface TlsPem {
  readonly cert: string;
  readonly key: string;
  /** The authority that clients' certificates must be of; without it none is asked for. */
  readonly clientCa?: string | undefined;
}

type Handle = (request: Request) => Response | Promise<Response>;

/** How long requests may go on once the listener was asked to end. */
const GRACE_MS = 2_000;
/** An address that was just given back may be taken for a moment. */
const RETRIES = { most: 20, everyMs: 50 } as const;

/** Listens, and can go over to other certificates. Disposing of it ends its requests. */
export class ReloadingListener implements AsyncDisposable {
  readonly #host: string;
  readonly #handle: Handle;
  #listener: Listener;
  #pem: TlsPem | undefined;
  /** Where it listens. */
  readonly port: number;

  private constructor(listener: Listener, host: string, pem: TlsPem | undefined, handle: Handle) {
    [this.#listener, this.#host, this.#pem, this.#handle] = [listener, host, pem, handle];
    this.port = listener.port;
  }

  /** Listens at an address; port 0 is any that is free. */
  static async start({ host, port }: BindAddress, pem: TlsPem | undefined, handle: Handle): Promise<ReloadingListener> {
    if (pem !== undefined) await tryOut(pem);
    return new ReloadingListener(await listen({ host, port }, pem, handle), host, pem, handle);
  }

  /**
   * Listens with other certificates from now on; what is under way goes on
   * with the old ones. Throws if they cannot be used, and goes on as before.
   */
  async reload(pem: TlsPem): Promise<void> {
    if (JSON.stringify(pem) === JSON.stringify(this.#pem)) return;
    await tryOut(pem);
    void this.#listener.shutdown();
    for (let tries = 1;; tries++) {
      try {
        this.#listener = await listen({ host: this.#host, port: this.port }, pem, this.#handle);
        break;
      } catch (error) {
        if (tries === RETRIES.most) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRIES.everyMs));
      }
    }
    this.#pem = pem;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, GRACE_MS);
    await Promise.race([this.#listener.shutdown(), late.promise]);
    clearTimeout(timer);
  }
}

/** Throws if certificates cannot be used, which shows when one listens with them: at another port, for a moment. */
async function tryOut({ cert, key, clientCa }: TlsPem): Promise<void> {
  const refuse = () => new Response(null, { status: 503 });
  await (await listen({ host: "127.0.0.1", port: 0 }, { cert, key }, refuse)).shutdown();
  if (clientCa !== undefined && !clientCa.includes("-----BEGIN CERTIFICATE-----")) {
    throw new Error("Cannot use the authority of clients as there is no certificate (PEM) in its file");
  }
}

async function listen({ host, port }: BindAddress, pem: TlsPem | undefined, handle: Handle): Promise<Listener> {
  if (pem?.clientCa !== undefined) {
    return await listenWithClientCertificates({ ...pem, clientCa: pem.clientCa, host, port, handle });
  }
  const common = { hostname: host, port, onListen() {} };
  const server = Deno.serve(pem === undefined ? common : { ...common, cert: pem.cert, key: pem.key }, handle);
  return {
    port: (server.addr as Deno.NetAddr).port,
    shutdown: () => server.shutdown(),
  };
}
