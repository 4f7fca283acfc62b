/**
 * A process without a free file descriptor that probes nevertheless: each check
 * that ships, against a service that listens. Prints the outcomes as JSON.
 *
 * @module
 */
import type { CheckPlugin, ProbeOutcome } from "../../mod.ts";
import dns from "../../plugins/checks/dns/mod.ts";
import exec from "../../plugins/checks/exec/mod.ts";
import grpc from "../../plugins/checks/grpc/mod.ts";
import http from "../../plugins/checks/http/mod.ts";
import postgres from "../../plugins/checks/postgres/mod.ts";
import redis from "../../plugins/checks/redis/mod.ts";
import tcp from "../../plugins/checks/tcp/mod.ts";
import { probe } from "./probe.ts";

/** Listens, and closes each connection. */
const service = Deno.listen({ hostname: "127.0.0.1", port: 0 });
void (async () => {
  for await (const connection of service) connection.close();
})();
const target = `127.0.0.1:${service.addr.port}`;

/** An outcome, and its check. */
type Named = readonly [name: string, outcome: ProbeOutcome];

const probes: readonly (() => Promise<Named>)[] = [
  ask("tcp", tcp, {}),
  ask("http", http, { uri: "/" }),
  ask("https", http, { uri: "/", https: true, verify: false }),
  ask("https with ca", http, { uri: "/", https: true, ca: new URL("../../LICENSE", import.meta.url).pathname }),
  ask("redis", redis, {}),
  ask("redis over TLS", redis, { tls: true, verify: false }),
  ask("grpc", grpc, {}),
  ask("grpc over TLS", grpc, { tls: true, verify: false }),
  ask("postgres", postgres, {}),
  ask("postgres over TLS", postgres, { tls: true, verify: false }),
  ask("dns", dns, { name: "health.example", record: "TXT" }),
  ask("exec", exec, { command: "/bin/true" }),
];

function ask<Config>(name: string, check: CheckPlugin<Config>, raw: unknown): () => Promise<Named> {
  return async () => {
    const signal = AbortSignal.timeout(5_000);
    const outcome = await probe(check, raw, target, signal).catch((error): ProbeOutcome => {
      return { status: "fail", reason: `${name} threw ${error}` };
    });
    return [name, outcome];
  };
}

// Each check loads what it needs while it can.
for (const each of probes) await each();
const held: Deno.FsFile[] = [];
try {
  for (;;) held.push(Deno.openSync("/dev/null"));
} catch (error) {
  if ((error as { readonly code?: unknown }).code !== "EMFILE") throw error;
}
const outcomes: Named[] = [];
for (const each of probes) outcomes.push(await each());
for (const file of held) file.close();
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(outcomes)));
Deno.exit();
