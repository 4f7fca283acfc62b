/**
 * One instance of the small web service that the demo balances: `GET /` says
 * who answers, `GET /health` is what the reporter probes, and `POST
 * /health/fail` or `/health/pass` decides what it says.
 *
 * @module
 */
const port = Number(Deno.args[0]);
let healthy = true;

Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, (request) => {
  const { pathname } = new URL(request.url);
  switch (`${request.method} ${pathname}`) {
    case "GET /health":
      return new Response(healthy ? "a-ok\n" : "not well\n", { status: healthy ? 200 : 503 });
    case "POST /health/fail":
    case "POST /health/pass":
      healthy = pathname.endsWith("pass");
      return new Response(null, { status: 204 });
    default:
      return new Response(`hello from 127.0.0.1:${port}\n`);
  }
});
