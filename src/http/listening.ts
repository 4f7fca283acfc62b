import { formatStatusAddress, type StatusAddress } from "../model/status_address.ts";
import { folderOf, resolveTrusted } from "../system/trusted_file.ts";

/** Only the user of the process may use a socket. */
const SOCKET_MODE = 0o600;

/** A listener and its address. Disposing of it removes the socket's file; the server closes the listener. */
export interface Listening extends AsyncDisposable {
  readonly listener: Deno.Listener;
  readonly address: StatusAddress;
}

/** Listens on a port or a socket. Throws an error that names the address if it cannot. */
export async function listenAt(address: StatusAddress): Promise<Listening> {
  try {
    if ("path" in address) return await listenAtSocket(address.path);
    const listener = Deno.listen({ hostname: address.host, port: address.port });
    return {
      listener,
      address: { host: address.host, port: listener.addr.port },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot listen on ${formatStatusAddress(address)}: ${why}`, { cause: error });
  }
}

/**
 * Listens on a socket. It is created under another name, gets its mode, and then replaces an old one
 * on which nobody listens.
 */
async function listenAtSocket(path: string): Promise<Listening> {
  // The owner of the directory could put a link in the socket's place before its mode is set.
  await resolveTrusted(folderOf(path));
  await refuseTaken(path);
  const made = `${path}.${crypto.randomUUID().slice(0, 8)}`;
  const listener = Deno.listen({ transport: "unix", path: made });
  try {
    await Deno.chmod(made, SOCKET_MODE);
    await Deno.rename(made, path);
  } catch (error) {
    listener.close();
    await Deno.remove(made).catch(() => {});
    throw error;
  }
  const inode = await inodeOf(path);
  return {
    listener,
    address: { path },
    async [Symbol.asyncDispose]() {
      // Another process may have used the path meanwhile.
      if (await inodeOf(path) === inode) await Deno.remove(path).catch(() => {});
    },
  };
}

/** Throws if there is something other than an old socket. */
async function refuseTaken(path: string): Promise<void> {
  const there = await Deno.lstat(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (there === undefined) return;
  if (there.isSocket !== true) throw new Error("the path exists and is not a socket");
  const connection = await Deno.connect({ transport: "unix", path }).catch(() => undefined);
  connection?.close();
  if (connection !== undefined) throw new Error("another process already listens on this socket");
}

async function inodeOf(path: string): Promise<number | null | undefined> {
  return (await Deno.lstat(path).catch(() => undefined))?.ino;
}
