import { lookup } from "node:dns/promises";
import type { LogStream, Target } from "./outlet.ts";
import type { SyslogAddress } from "./plan.ts";

/** A server is looked up again after this time: it may have moved, and datagrams do not tell. */
const LOOKUP_EVERY_MS = 60_000;
/** A syslog message longer than this is cut: no server takes more, and a datagram cannot hold it. */
const MESSAGE_BYTES_MAX = 8_192;
/** What syslog calls the levels. */
const PRIORITIES: Readonly<Record<number, number>> = { 10: 7, 20: 6, 30: 4, 40: 3, 50: 2 };
const encoder = new TextEncoder();

/** Writes a message as Python's SysLogHandler does: `<14>text NUL`. Pure. */
export function syslogMessage(text: string, level: number, facility: number): Uint8Array {
  const whole = encoder.encode(`<${(facility << 3) | (PRIORITIES[level] ?? 4)}>${text}\0`);
  if (whole.length <= MESSAGE_BYTES_MAX) return whole;
  const cut = new TextDecoder().decode(whole.subarray(0, MESSAGE_BYTES_MAX - 6)).replace(/\uFFFD+$/, "");
  return encoder.encode(`${cut}...\0`);
}

/** A syslog server, to which datagrams are sent: over a Unix socket or UDP. */
export class SyslogTarget implements Target {
  readonly #address: SyslogAddress;
  #socket: (LogStream & Disposable) | undefined;
  #openedMs = 0;

  /** `resolve` makes a path absolute. */
  constructor(address: SyslogAddress, resolve: (path: string) => string) {
    this.#address = "path" in address ? { path: resolve(address.path) } : address;
  }

  async open(): Promise<LogStream> {
    const address = this.#address;
    if ("host" in address && performance.now() - this.#openedMs > LOOKUP_EVERY_MS) this.close();
    this.#openedMs = this.#socket === undefined ? performance.now() : this.#openedMs;
    return this.#socket ??= "host" in address ? await openUdp(address) : await openPath(address.path);
  }

  close(): void {
    this.#socket?.[Symbol.dispose]();
    this.#socket = undefined;
  }
}

async function openUdp({ host, port }: { readonly host: string; readonly port: number }) {
  const { address: hostname, family } = await lookup(host);
  const socket = Deno.listenDatagram({ transport: "udp", hostname: family === 6 ? "::" : "0.0.0.0", port: 0 });
  const write = (bytes: Uint8Array) => socket.send(bytes, { transport: "udp", hostname, port });
  return { write, [Symbol.dispose]: () => socket.close() };
}

/**
 * Deno lets a process without all permissions at nothing below `/dev`, even if
 * it may write everywhere, and that is where syslog's socket is: a link from
 * elsewhere leads there. Datagrams are sent from a socket in Linux's abstract
 * namespace, which is no file and goes with the process.
 */
async function openPath(path: string) {
  const folder = await Deno.makeTempDir({ prefix: "lighthouse-syslog-" });
  await Deno.symlink(path, `${folder}/socket`);
  const socket = Deno.listenDatagram({ transport: "unixpacket", path: `\0lighthouse-log-${crypto.randomUUID()}` });
  return {
    write: (bytes: Uint8Array) => socket.send(bytes, { transport: "unixpacket", path: `${folder}/socket` }),
    [Symbol.dispose]() {
      socket.close();
      void Deno.remove(folder, { recursive: true }).catch(() => {});
    },
  };
}
