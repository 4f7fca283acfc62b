/**
 * The floor of the store's reads: a server that answers everything with the
 * bytes of a file. Told by arguments: port, file, ETag.
 *
 * @module
 */
const [port, file = "", etag = ""] = Deno.args;
const bytes = await Deno.readFile(file);
const init: ResponseInit = { headers: [["content-type", "application/json"], ["etag", etag]] };
Deno.serve({ hostname: "127.0.0.1", port: Number(port), onListen() {} }, () => new Response(bytes, init));
