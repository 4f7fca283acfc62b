/**
 * Registries of every kind, with all that may befall them: their server, its data, the network before it, and the
 * rights of those who ask.
 *
 * @module
 */
import assert from "node:assert/strict";
import { StoreProcess } from "../store/process.ts";
import { makeCertificates } from "./certificates.ts";
import { Etcd } from "./etcd.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";
import { KazooPeer } from "./kazoo.ts";
import { replaceDirectory } from "./replace_directory.ts";
import { Serf } from "./serf.ts";
import { TcpProxy } from "./tcp_proxy.ts";
import { TempDir } from "./temp_dir.ts";
import { ZooKeeper } from "./zookeeper.ts";

/** The keys of a discovery file. */
type Keys = Readonly<Record<string, unknown>>;

/** A registry that holds the cluster `web`, on loopback, behind a network that a test can cut off. */
export interface FaultyRegistry {
  /** The plugin that speaks to it. */
  readonly type: string;
  /** Its discovery file, where the server answers at an address; behind {@linkcode proxy} by default. */
  readonly file: (address?: string) => Keys;
  /** The port of the server itself, on 127.0.0.1. */
  readonly port: number;
  /** The network before it. */
  readonly proxy: TcpProxy;
  /** Ends its server at once; its data stays. */
  readonly kill: () => Promise<void>;
  /** Starts its server again, on the same port and data, and waits until it answers. */
  readonly start: () => Promise<void>;
  /** Stops the server's process (SIGSTOP), so that connections stand and nobody answers. */
  readonly stop: () => void;
  /** Lets a stopped process go on. */
  readonly goOn: () => void;
  /** How many nodes of the cluster it has. */
  readonly registered: () => Promise<number>;
}

/** A registry whose data can be restored. */
export interface RestorableRegistry extends FaultyRegistry {
  /** Keeps a copy of the data of a server that was killed. */
  readonly backUp: () => Promise<void>;
  /** Replaces the data of a server that was killed by the copy. */
  readonly restore: () => Promise<void>;
}

/** A registry that lets in whom it knows. */
export interface GuardedRegistry extends FaultyRegistry {
  /** Denies Lighthouse all that it could do. */
  readonly revoke: () => Promise<void>;
  readonly grant: () => Promise<void>;
}

/** How long a registry keeps the nodes of an unreachable host, in seconds. */
const SESSION_S = 2;
const SERVICES = "/lighthouse/services";

/** Puts a server behind a network. */
function behind(
  server: { readonly port: number; readonly pause: () => void; readonly resume: () => void },
  stack: AsyncDisposableStack,
): Pick<FaultyRegistry, "port" | "proxy" | "stop" | "goOn"> {
  const proxy = stack.use(TcpProxy.start(server.port));
  return { port: server.port, proxy, stop: () => server.pause(), goOn: () => server.resume() };
}

/** etcd, by the API that Lighthouse is to speak. */
export async function faultyEtcd(
  stack: AsyncDisposableStack,
  { api = "v3" }: { readonly api?: "v2" | "v3" } = {},
): Promise<RestorableRegistry> {
  const server = stack.use(await Etcd.start({ args: api === "v2" ? ["--enable-v2"] : [] }));
  const faults = behind(server, stack);
  const { proxy } = faults;
  return {
    ...faults,
    type: "etcd",
    file: (address = proxy.address) => ({ endpoints: [address], session_timeout: SESSION_S, api }),
    kill: () => server.end("SIGKILL"),
    start: () => server.start(),
    backUp: () => server.backUp(),
    restore: () => server.restore(),
    registered: async () => {
      if (api === "v3") return (await server.keys(`${SERVICES}/web/t`)).length;
      return countV2(await fetch(`http://${server.address}/v2/keys${SERVICES}/web`));
    },
  };
}

async function countV2(answer: Response): Promise<number> {
  const { node } = await answer.json();
  return node?.nodes?.length ?? 0;
}

/** etcd by its API 2, which demands a user: one by a certificate, as each password costs it a tenth of a second of CPU. */
export async function guardedEtcdV2(stack: AsyncDisposableStack): Promise<GuardedRegistry> {
  const pem = await makeCertificates(stack.use(new TempDir()));
  const tls = ["--cert-file", pem.good, "--key-file", pem.key, "--client-cert-auth", "--trusted-ca-file", pem.ca];
  const server = stack.use(await Etcd.start({ args: ["--enable-v2", ...tls], scheme: "https", isOpen: false }));
  const faults = behind(server, stack);
  const [ca, cert, key] = await Promise.all([pem.ca, pem.good, pem.key].map((path) => Deno.readTextFile(path)));
  const client = stack.adopt(
    Deno.createHttpClient({ caCerts: [ca ?? ""], cert: cert ?? "", key: key ?? "" }),
    (each) => each.close(),
  );
  const headers = { authorization: `Basic ${btoa("root:toor")}`, "content-type": "application/json" };
  const ask = (method: string, path: string, body?: unknown) =>
    fetch(`https://${server.address}/v2/${path}`, {
      client,
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
    });
  const admin = async (method: string, path: string, body?: unknown) => {
    const response = await ask(method, `auth/${path}`, body);
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  };
  const kv = { read: [`${SERVICES}/*`], write: [`${SERVICES}/*`] };
  await admin("PUT", "users/root", { user: "root", password: "toor" });
  await admin("PUT", "roles/services", { role: "services", permissions: { kv } });
  // The common name of the certificate.
  await admin("PUT", "users/good", { user: "good", password: "unused", roles: ["services"] });
  await admin("PUT", "enable");
  await admin("DELETE", "roles/guest");
  return {
    ...faults,
    type: "etcd",
    file: (address = faults.proxy.address) => ({
      endpoints: [`https://${address}`],
      // By API 2 each key is renewed by a request of its own, for which two seconds are short on a busy machine.
      session_timeout: 5,
      api: "v2",
      tls: { ca: pem.ca, cert: pem.good, key: pem.key },
    }),
    kill: () => server.end("SIGKILL"),
    start: () => server.start(),
    revoke: () => admin("PUT", "roles/services", { role: "services", revoke: { kv } }),
    grant: () => admin("PUT", "roles/services", { role: "services", grant: { kv } }),
    registered: async () => countV2(await ask("GET", `keys${SERVICES}/web`)),
  };
}

/** ZooKeeper, of one server. */
export async function faultyZooKeeper(stack: AsyncDisposableStack): Promise<RestorableRegistry & GuardedRegistry> {
  const server = stack.use(await ZooKeeper.start());
  const faults = behind(server, stack);
  const kazoo = async (what: string, parameters: Record<string, unknown>) => {
    await using peer = await KazooPeer.start(server.address);
    return await peer.ask(what, { path: `${SERVICES}/web`, ...parameters });
  };
  return {
    ...faults,
    type: "zookeeper",
    file: (address = faults.proxy.address) => ({ hosts: [address], path: SERVICES, session_timeout: SESSION_S }),
    kill: () => server.kill(),
    start: () => server.start(),
    backUp: () => server.backUp(),
    restore: () => server.restore(),
    // Who is nobody may then change the rights, and do nothing else.
    revoke: async () => void await kazoo("allow", { all: false }),
    grant: async () => void await kazoo("allow", { all: true }),
    registered: async () => Object.keys(await kazoo("read_all", {}) as object).length,
  };
}

/** A Lighthouse store, of one instance; it demands a token. */
export async function faultyStore(stack: AsyncDisposableStack): Promise<RestorableRegistry & GuardedRegistry> {
  const dir = stack.use(new TempDir("lighthouse-store-"));
  const port = freePort();
  const [admin, token] = ["admin-rights-0123456789", "host-rights-0123456789"];
  const writeTokens = (more: readonly Keys[]) =>
    dir.write("tokens.yaml", JSON.stringify([{ name: "admin", token: admin, write: ["/"] }, ...more]));
  const ask = (bearer: string) =>
    fetch(`http://127.0.0.1:${port}/data${SERVICES}/web`, { headers: { authorization: `Bearer ${bearer}` } });
  const known = { name: "host", token, write: [SERVICES] };
  const tokens = await writeTokens([known]);
  const begin = async () => {
    const flags = ["--data.d", dir.file("data"), "--bind", `127.0.0.1:${port}`, "--bootstrap", "--tokens", tokens];
    const store = stack.use(new StoreProcess(flags));
    await store.event("store.listening");
    return store;
  };
  let store = await begin();
  const change = async (more: readonly Keys[], status: number) => {
    await writeTokens(more);
    store.kill("SIGHUP");
    await eventually(`the token's answer is ${status}`, async () => {
      const answer = await ask(token);
      await answer.body?.cancel();
      return answer.status === status;
    });
  };
  const pause = () => store.kill("SIGSTOP");
  const faults = behind({ port, pause, resume: () => store.kill("SIGCONT") }, stack);
  return {
    ...faults,
    type: "lighthouse",
    file: (address = faults.proxy.address) => ({ hosts: [address], path: SERVICES, ttl: SESSION_S, token }),
    kill: async () => {
      store.kill("SIGKILL");
      await store.ended();
    },
    start: async () => void (store = await begin()),
    backUp: () => replaceDirectory(dir.file("data"), dir.file("backup")),
    restore: () => replaceDirectory(dir.file("backup"), dir.file("data")),
    revoke: () => change([], 401),
    grant: () => change([known], 200),
    registered: async () => {
      const answer = await ask(admin);
      const text = await answer.text();
      return answer.status === 200 ? Object.keys(JSON.parse(text)).length : 0;
    },
  };
}

/** A serf agent, whose tags end with it; it demands a key. */
export async function faultySerf(stack: AsyncDisposableStack): Promise<GuardedRegistry> {
  const dir = stack.use(new TempDir());
  const setKey = (key: string) => dir.write("serf.json", JSON.stringify({ rpc_auth: key }));
  const config = await setKey("sesame");
  const agent = stack.use(await Serf.start({ args: [`-config-file=${config}`] }));
  const faults = behind(
    { port: agent.rpcPort, pause: () => agent.pause(), resume: () => agent.resume() },
    stack,
  );
  let key = "sesame";
  const restart = async (next: string) => {
    await setKey(key = next);
    await agent.end("SIGKILL");
    await agent.start();
  };
  return {
    ...faults,
    type: "serf",
    file: (address = faults.proxy.address) => ({ address, refresh: 0.5, join_time: 5, auth_key: "sesame" }),
    kill: () => agent.end("SIGKILL"),
    start: () => agent.start(),
    revoke: () => restart("another"),
    grant: () => restart("sesame"),
    registered: async () => {
      const { members } = JSON.parse(await agent.ctl("members", `-rpc-auth=${key}`, "-format=json"));
      return members[0]?.tags.web?.split(",").length ?? 0;
    },
  };
}
