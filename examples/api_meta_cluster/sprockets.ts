/**
 * The sprockets' part of the API: a set of them in the cluster of caches. Each
 * answer bears a token of the business partner's, which is reached by way of
 * this host's HAProxy and the cluster of proxies.
 *
 * @module
 */
import { askCache } from "../stage/cache.ts";
import { ADDRESS, health, respond } from "../stage/respond.ts";

/** Where every host reaches the partner, whichever proxy it is that speaks to it. */
const PARTNER = `http://${ADDRESS}:7777`;

/** How long the partner may take to answer. */
const DEADLINE_MS = 2_000;

/** A connection for each request, as a connection through a proxy lasts no longer than the proxy. */
const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });

async function askPartner(path: string): Promise<Response> {
  const response = await fetch(`${PARTNER}${path}`, { client, signal: AbortSignal.timeout(DEADLINE_MS) });
  if (response.ok) return response;
  await response.body?.cancel();
  throw new Error(`The partner responded with ${response.status} to ${path}`);
}

async function token(): Promise<string> {
  return (await (await askPartner("/token")).json()).token;
}

respond({
  "GET /api/sprockets": async () => {
    const sprockets = await askCache("SMEMBERS", "sprockets") as readonly string[];
    return Response.json({ token: await token(), sprockets: sprockets.toSorted() });
  },
  "POST /api/sprockets": async (request) => {
    const sprocket = (await request.formData()).get("sprocket");
    if (typeof sprocket !== "string" || sprocket === "") {
      return Response.json({ success: false, error: "no sprocket given" }, { status: 400 });
    }
    await askCache("SADD", "sprockets", sprocket);
    return Response.json({ success: true, token: await token() });
  },
  "GET /health": () =>
    health(async () => {
      await (await askPartner("/status")).body?.cancel();
      return await askCache("PING") === "PONG";
    }),
});
