/**
 * What the examples' little applications have in common: each listens on the
 * address and the port that it is given, and answers requests until SIGTERM,
 * after which it finishes what it has begun.
 *
 * @module
 */

/** The host that this application runs on: what the others call "localhost" there. */
export const ADDRESS: string = Deno.args[0] ?? "127.0.0.1";
/** The port that it listens on. */
export const PORT: number = Number(Deno.args[1] ?? 8000);

/** Answers a request, by method and path: `GET /health`. */
export type Route = (request: Request) => Promise<Response>;

/** Serves these routes; what is none of them is not found, and what throws is unavailable. */
export function respond(routes: Readonly<Record<string, Route>>): void {
  const server = Deno.serve({ hostname: ADDRESS, port: PORT, onListen() {} }, async (request) => {
    const route = routes[`${request.method} ${new URL(request.url).pathname}`];
    const response = route === undefined
      ? new Response("not found\n", { status: 404 })
      : await route(request).catch((error: Error) => new Response(`${error.message}\n`, { status: 503 }));
    response.headers.set("served-by", `${ADDRESS}:${PORT}`);
    return response;
  });
  Deno.addSignalListener("SIGTERM", () => void server.shutdown());
}

/** The answer of a health check: 200 if what the application depends on is there. */
export async function health(isThere: () => Promise<boolean>): Promise<Response> {
  const healthy = await isThere().catch(() => false);
  return new Response(healthy ? "a-ok!" : "not well", { status: healthy ? 200 : 503 });
}
