/**
 * The web application of a host: says which host answers.
 *
 * @module
 */
const [hostname = "", port = ""] = Deno.args;

Deno.serve(
  { hostname, port: Number(port), onListen() {} },
  () => new Response(`hello from ${hostname}\n`),
);
