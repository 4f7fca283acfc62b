/**
 * The nginx balancer with the real nginx: reloads that are proven, and what happens to it behind the writer's back.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { NamedServer } from "../support/haproxy.ts";
import { get } from "../support/http_load.ts";
import { NginxBox, NginxWriter } from "../support/nginx.ts";

/** Sends a request for a host and a path to a port on loopback; answers the status and the body. */
async function request(port: number, path = "/", host = "test"): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(
    new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
  );
  const answer = await new Response(connection.readable).text();
  return `${answer.slice(9, 12)} ${answer.slice(answer.indexOf("\r\n\r\n") + 4)}`;
}

Deno.test("a writer starts nginx, reloads it for each change of members, and leaves it running at its end", async () => {
  await setUp(["nginx"]);
  await using box = new NginxBox();
  await using one = new NamedServer("one");
  await using two = new NamedServer("two");
  const port = freePort();
  const wanted = (...servers: readonly NamedServer[]) =>
    box.wanted({ web: { section: { listen: `127.0.0.1:${port}` }, nodes: servers.map(({ node }) => node) } });
  {
    await using writer = new NginxWriter();
    await writer.apply(wanted(one));
    assert.equal(await get(port), "one");
    const master = await box.master();
    await writer.apply(wanted(two));
    await eventually("the new workers answer", async () => await get(port) === "two");
    await writer.apply(wanted());
    await eventually("nobody is left", async () => await request(port).then((answer) => answer.startsWith("503")));
    await writer.apply(wanted(one, two));
    assert.equal(await box.master(), master);
    assert.equal(writer.reloads, 4, writer.log);
    await writer.apply(wanted(one, two));
    assert.equal(writer.reloads, 4, "nothing has changed");
  }
  assert.match(await get(port), /one|two/);
  await using writer = new NginxWriter();
  await writer.apply(wanted(one, two));
  assert.equal(writer.reloads, 0, "the next writer finds it as it should be");
});
