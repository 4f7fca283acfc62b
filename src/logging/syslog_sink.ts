import { lookup } from "node:dns/promises";
import { connectTcp } from "../system/tcp.ts";
import type { Line, Sink } from "./outlet.ts";
import type { Output } from "./plan.ts";

type SyslogOutput = Extract<Output, { to: "syslog" }>;

/** A way to the syslog server. */
interface Channel {
  /** Whether the server has closed it. */
  readonly hasEnded?: boolean;
  send(message: Uint8Array<ArrayBuffer>): Promise<unknown>;
  close(): void;
}

/** A server's address is looked up again after this time: it may have moved, and datagrams do not tell. */
const LOOKUP_EVERY_MS = 60_000;
/** A syslog message longer than this is cut: no server takes more, and a datagram cannot hold it. */
const MESSAGE_BYTES_MAX = 8_192;
/** What syslog calls the levels. */
const PRIORITIES: Readonly<Record<number, number>> = { 10: 7, 20: 6, 30: 4, 40: 3, 50: 2 };
const encoder = new TextEncoder();

/** Writes a message as Python's SysLogHandler does: `<14>ident text NUL`. Pure. */
export function syslogMessage(
  { text, level }: Line,
  { facility, ident, appendNul }: Pick<SyslogOutput, "facility" | "ident" | "appendNul">,
): Uint8Array<ArrayBuffer> {
  const whole = encoder.encode(`<${(facility << 3) | (PRIORITIES[level] ?? 4)}>${ident}${text}`);
  const cut = whole.length <= MESSAGE_BYTES_MAX ? whole : encoder.encode(
    `${new TextDecoder().decode(whole.subarray(0, MESSAGE_BYTES_MAX - 6)).replace(/\uFFFD+$/, "")}...`,
  );
  return appendNul ? new Uint8Array([...cut, 0]) : cut;
}

/** A syslog server: over a Unix socket, UDP or TCP. It is connected to again when it was away. */
export class SyslogSink implements Sink {
  readonly unfinished = false;
  readonly #output: SyslogOutput;
  /** A path is tried as datagrams first and as a stream if these are not taken, as in Python, unless the file says. */
  #isStream: boolean;
  #channel: Channel | undefined;
  #openedMs = 0;
  #opening: AbortController | undefined;

  constructor(output: SyslogOutput) {
    [this.#output, this.#isStream] = [output, output.socktype === "stream"];
  }

  async write(lines: readonly Line[]): Promise<number> {
    let taken = 0;
    try {
      for (const line of lines) {
        await this.#send(syslogMessage(line, this.#output));
        taken++;
      }
    } catch (error) {
      this.close();
      if (taken === 0) throw error;
    }
    return taken;
  }

  interrupt(): void {
    this.#opening?.abort(new Error("The syslog server does not answer"));
    this.close();
  }

  close(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }

  async #send(message: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      await (await this.#open()).send(message);
    } catch (error) {
      const { address, socktype } = this.#output;
      if (socktype !== undefined || "host" in address) throw error;
      this.close();
      this.#isStream = !this.#isStream;
      const second = await this.#open().catch(() => {
        throw error;
      });
      await second.send(message);
    }
  }

  async #open(): Promise<Channel> {
    const { address } = this.#output;
    const isOld = "host" in address && !this.#isStream && performance.now() - this.#openedMs > LOOKUP_EVERY_MS;
    if (isOld || this.#channel?.hasEnded) this.close();
    if (this.#channel !== undefined) return this.#channel;
    this.#opening = new AbortController();
    const open = "path" in address
      ? openPath(address.path, this.#isStream)
      : this.#isStream
      ? streamOf(await connectTcp(address, this.#opening.signal))
      : openUdp(address);
    this.#channel = await open;
    this.#openedMs = performance.now();
    return this.#channel;
  }
}

async function openUdp({ host, port }: { readonly host: string; readonly port: number }): Promise<Channel> {
  const { address: hostname, family } = await lookup(host);
  const own = Deno.listenDatagram({ transport: "udp", hostname: family === 6 ? "::" : "0.0.0.0", port: 0 });
  return { send: (message) => own.send(message, { transport: "udp", hostname, port }), close: () => own.close() };
}

/**
 * Deno lets a process without all permissions at nothing below `/dev`, even if
 * it may write everywhere, and that is where syslog's socket is: a link from
 * elsewhere leads there. Datagrams are sent from a socket in Linux's abstract
 * namespace, which is no file and goes with the process.
 */
async function openPath(path: string, isStream: boolean): Promise<Channel> {
  const folder = path.startsWith("/dev/") ? await Deno.makeTempDir({ prefix: "lighthouse-syslog-" }) : undefined;
  const removeLink = () => {
    try {
      if (folder !== undefined) Deno.removeSync(folder, { recursive: true });
    } catch {
      // Whoever empties the temporary directory has been there first.
    }
  };
  const way = folder === undefined ? path : `${folder}/socket`;
  if (folder !== undefined) await Deno.symlink(path, way);
  if (isStream) {
    try {
      return streamOf(await Deno.connect({ transport: "unix", path: way }));
    } finally {
      removeLink();
    }
  }
  const own = Deno.listenDatagram({ transport: "unixpacket", path: `\0lighthouse-log-${crypto.randomUUID()}` });
  return {
    send: (message) => own.send(message, { transport: "unixpacket", path: way }),
    close() {
      own.close();
      removeLink();
    },
  };
}

/** A stream. A syslog server answers nothing: what can be read is the end. */
function streamOf(connection: Deno.Conn): Channel {
  let hasEnded = false;
  const readToEnd = async () => {
    const heard = new Uint8Array(256);
    while (await connection.read(heard) !== null);
  };
  void readToEnd().catch(() => {}).then(() => hasEnded = true);
  return {
    get hasEnded() {
      return hasEnded;
    },
    async send(message) {
      for (let rest = message; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
    },
    close: () => connection.close(),
  };
}
