import { lookup } from "node:dns/promises";
import { connectTcp } from "../system/tcp.ts";
import type { Output } from "./plan.ts";
import type { Line, Sink } from "./outlet.ts";
import { syslogMessage } from "./record.ts";

/** Where syslog messages go. */
type SyslogOutput = Extract<Output, { to: "syslog" }>;

/** A way to the syslog server. */
interface Channel {
  send(message: Uint8Array<ArrayBuffer>): Promise<void>;
  close(): void;
}

/** A server's address is looked up again after this time: it may have moved, and datagrams do not tell. */
const LOOKUP_EVERY_MS = 60_000;

/** A syslog server: over a Unix socket, UDP or TCP. It is connected to again when it was away. */
export class SyslogSink implements Sink {
  readonly unfinished = false;
  readonly #output: SyslogOutput;
  #channel: Channel | undefined;
  #openedMs = 0;
  #opening: AbortController | undefined;

  constructor(output: SyslogOutput) {
    this.#output = output;
  }

  async write(lines: readonly Line[]): Promise<number> {
    let taken = 0;
    try {
      const channel = await this.#current();
      for (const { text, level } of lines) {
        await channel.send(syslogMessage(text, level, this.#output));
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

  async #current(): Promise<Channel> {
    const isStale = "host" in this.#output.address && performance.now() - this.#openedMs > LOOKUP_EVERY_MS &&
      this.#output.socktype !== "stream";
    if (isStale) this.close();
    if (this.#channel !== undefined) return this.#channel;
    this.#opening = new AbortController();
    const gone = (channel: Channel) => void (this.#channel === channel && this.close());
    this.#channel = await open(this.#output, { signal: this.#opening.signal, gone });
    this.#openedMs = performance.now();
    return this.#channel;
  }
}

interface OpenOptions {
  readonly signal: AbortSignal;
  /** Called when the other side has closed. */
  readonly gone: (channel: Channel) => void;
}

async function open({ address, socktype }: SyslogOutput, options: OpenOptions): Promise<Channel> {
  if ("path" in address) {
    const way = await wayTo(address.path);
    const stream = () => connect({ transport: "unix", path: way.path }, options);
    if (socktype === "stream") {
      using _way = way;
      return await stream();
    }
    const first = unixDatagrams(way);
    return socktype === "datagram" ? first : new EitherKind(first, stream);
  }
  const { host, port } = address;
  if (socktype === "stream") return await connect({ transport: "tcp", hostname: host, port }, options);
  const { address: ip, family } = await lookup(host);
  const socket = Deno.listenDatagram({ transport: "udp", hostname: family === 6 ? "::" : "0.0.0.0", port: 0 });
  return datagrams(socket, { transport: "udp", hostname: ip, port });
}

/** A path that can be used; disposing of it removes what was made for it. */
interface Way extends Disposable {
  readonly path: string;
}

/**
 * Deno lets a process without all permissions at nothing below `/dev`, even if
 * it may write everywhere, and that is where syslog's socket is: a link from
 * elsewhere leads there.
 */
async function wayTo(path: string): Promise<Way> {
  if (!path.startsWith("/dev/")) return { path, [Symbol.dispose]() {} };
  const folder = await Deno.makeTempDir({ prefix: "lighthouse-syslog-" });
  await Deno.symlink(path, `${folder}/socket`);
  return {
    path: `${folder}/socket`,
    [Symbol.dispose]: () => removeFolder(folder),
  };
}

function removeFolder(folder: string): void {
  try {
    Deno.removeSync(folder, { recursive: true });
  } catch {
    // Whoever empties the temporary directory has been there first.
  }
}

/**
 * Sends from a Unix socket of our own: in Linux's abstract namespace, so that
 * it is no file and goes with the process.
 */
function unixDatagrams(way: Way): Channel {
  const own = `\0lighthouse-log-${crypto.randomUUID()}`;
  const socket = Deno.listenDatagram({ transport: "unixpacket", path: own });
  const channel = datagrams(socket, { transport: "unixpacket", path: way.path });
  return {
    ...channel,
    close() {
      channel.close();
      way[Symbol.dispose]();
    },
  };
}

function datagrams(socket: Deno.DatagramConn, to: Deno.Addr): Channel {
  return {
    async send(message) {
      await socket.send(message, to);
    },
    close: () => socket.close(),
  };
}

async function connect(
  to:
    | { readonly transport: "tcp"; readonly hostname: string; readonly port: number }
    | (Deno.UnixConnectOptions & { readonly transport: "unix" }),
  { signal, gone }: OpenOptions,
): Promise<Channel> {
  const connection: Deno.Conn = to.transport === "tcp"
    ? await connectTcp({ host: to.hostname, port: to.port }, signal)
    : await Deno.connect({ transport: "unix", path: to.path });
  let isOpen = true;
  const channel: Channel = {
    async send(message) {
      for (let rest = message; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
    },
    close() {
      if (isOpen) connection.close();
      isOpen = false;
    },
  };
  // A syslog server says nothing: what can be read is the end.
  void readToEnd(connection).then(() => isOpen && gone(channel));
  return channel;
}

async function readToEnd(connection: Deno.Conn): Promise<void> {
  const heard = new Uint8Array(256);
  try {
    while (await connection.read(heard) !== null);
  } catch {
    // A connection that broke has ended too.
  }
}

/** Datagrams, or a stream if the server does not take them: what Python does unless it is told the kind. */
class EitherKind implements Channel {
  readonly #connect: () => Promise<Channel>;
  #channel: Channel;
  #isSure = false;

  constructor(first: Channel, connect: () => Promise<Channel>) {
    [this.#channel, this.#connect] = [first, connect];
  }

  async send(message: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      await this.#channel.send(message);
    } catch (error) {
      if (this.#isSure) throw error;
      const second = await this.#connect().catch(() => {
        throw error;
      });
      this.#channel.close();
      this.#channel = second;
      await second.send(message);
    }
    this.#isSure = true;
  }

  close(): void {
    this.#channel.close();
  }
}
