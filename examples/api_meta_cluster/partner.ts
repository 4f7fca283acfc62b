/**
 * The business partner: no part of the fleet, and reached by its proxies alone.
 *
 * @module
 */
import { respond } from "../stage/respond.ts";

respond({
  "GET /token": () => Promise.resolve(Response.json({ token: crypto.randomUUID() })),
  "GET /status": () => Promise.resolve(new Response("OK")),
});
