/**
 * A web application that counts its visitors in the cluster of caches: `GET /`
 * says the count, and `GET /health` whether a cache answers.
 *
 * @module
 */
import { askCache } from "../stage/cache.ts";
import { health, respond } from "../stage/respond.ts";

respond({
  "GET /": async () => {
    const count = await askCache("INCR", "webapp:counter");
    return new Response(`<h1>Current count: ${count}</h1>`, { headers: { "content-type": "text/html" } });
  },
  "GET /health": () => health(async () => await askCache("PING") === "PONG"),
});
