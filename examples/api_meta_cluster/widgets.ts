/**
 * The widgets' part of the API: how many there are of each, counted in the
 * cluster of caches.
 *
 * @module
 */
import { askCache } from "../stage/cache.ts";
import { health, respond } from "../stage/respond.ts";

respond({
  "GET /api/widgets": async () => {
    const reply = await askCache("HGETALL", "widgets") as readonly string[];
    const widgets: Record<string, number> = {};
    for (let i = 0; i < reply.length; i += 2) widgets[reply[i] ?? ""] = Number(reply[i + 1]);
    return Response.json({ widgets });
  },
  "POST /api/widgets": async (request) => {
    const widget = (await request.formData()).get("widget");
    if (typeof widget !== "string" || widget === "") {
      return Response.json({ success: false, error: "no widget given" }, { status: 400 });
    }
    await askCache("HINCRBY", "widgets", widget, "1");
    return Response.json({ success: true });
  },
  "GET /health": () => health(async () => await askCache("PING") === "PONG"),
});
