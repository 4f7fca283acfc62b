/**
 * Runs the examples without containers: each host has an address of loopback to
 * itself, and on it what a container would have: its applications, Lighthouse
 * and HAProxy. They stay when the command that launched them has ended.
 *
 *     deno task example EXAMPLE launch TYPE NAME [TYPE NAME...]
 *     deno task example EXAMPLE status
 *     deno task example EXAMPLE connect NAME
 *     deno task example EXAMPLE load ADDRESS:PORT[/PATH] COMMAND...
 *     deno task example EXAMPLE stop [NAME...]
 *     deno task example EXAMPLE kill NAME...
 *
 * @module
 */
import { parseArgs } from "node:util";
import { setUp } from "../../tests/setup.ts";
import { apiMetaCluster } from "../api_meta_cluster/example.ts";
import { simpleWeb } from "../simple_web/example.ts";
import { type Example, ROOT } from "./example.ts";
import { Fleet, UsageError } from "./fleet.ts";
import { kill, launch, type Order, stop, stopAll, typesOf } from "./hosts.ts";
import { loadWhile } from "./load.ts";
import { describeFleet, describeHost } from "./look.ts";

/** All examples. */
const EXAMPLES: readonly Example[] = [simpleWeb, apiMetaCluster];

function say(line: string): void {
  // deno-lint-ignore no-console -- the output of this program is for the person who gave the command
  console.log(line);
}

function usage(): string {
  const examples = EXAMPLES.map((example) => {
    const types = [...typesOf(example)].map(([type, { summary }]) => `      ${type.padEnd(10)} ${summary}`);
    return [`  ${example.name}, whose hosts are of the types`, ...types].join("\n");
  });
  return `Usage: deno task example EXAMPLE COMMAND

Commands:
  launch TYPE NAME...        add hosts, and wait until they serve and are served
  status                     what runs on which host
  connect NAME               what there is to see from a host
  load ADDRESS:PORT[/PATH] COMMAND
                             send requests there while a command is carried out
  stop [NAME...]             stop these hosts in order, or all
  kill NAME...               kill all that runs on these hosts, at once

Options:
  --dir DIR                  where the hosts keep their files; else .lighthouse in the example's folder
  --network 127.N.N          where their addresses are

Examples:
${examples.join("\n")}`;
}

/** Carries one command out. */
async function obey(fleet: Fleet, example: Example, [command, ...rest]: readonly string[]): Promise<void> {
  const named = () => Promise.all(rest.map((name) => fleet.host(name)));
  switch (command) {
    case "launch":
      await setUp(["haproxy", "zookeeper", "redis"]);
      await launch(fleet, example, ordersOf(rest), say);
      break;
    case "status":
      (await describeFleet(fleet)).forEach(say);
      break;
    case "connect":
      if (rest.length !== 1) throw new UsageError("Missing argument: connect requires the name of one host");
      for (const host of await named()) (await describeHost(fleet, host)).forEach(say);
      break;
    case "load": {
      const [, hostname = "", port, path = ""] = /^([\d.]+):(\d+)(\/\S*)?$/.exec(rest[0] ?? "") ?? [];
      if (hostname === "" || rest.length < 2) {
        throw new UsageError("Missing argument: load requires an address, a port and a command");
      }
      const job = () => obey(fleet, example, rest.slice(1));
      (await loadWhile({ hostname, port: Number(port), path: path || "/" }, job)).forEach(say);
      break;
    }
    case "stop": {
      const hosts = await named();
      for (const host of hosts) await stop(fleet, host);
      for (const { name } of hosts.length > 0 ? hosts : await stopAll(fleet)) say(`${name} is stopped`);
      break;
    }
    case "kill":
      if (rest.length === 0) throw new UsageError("Missing argument: kill requires the name of a host");
      for (const host of await named()) {
        await kill(fleet, host);
        say(`${host.name} is killed`);
      }
      break;
    default:
      throw new UsageError(`Unknown command ${JSON.stringify(command ?? "")}\n\n${usage()}`);
  }
}

function ordersOf(words: readonly string[]): readonly Order[] {
  if (words.length === 0 || words.length % 2 > 0) {
    throw new UsageError("Missing argument: launch requires a type and a name for each host");
  }
  const orders: Order[] = [];
  for (let i = 0; i < words.length; i += 2) orders.push({ type: words[i] ?? "", name: words[i + 1] ?? "" });
  return orders;
}

/** A relative directory is meant from where the command was typed, which the task says in INIT_CWD. */
function fromHere(dir: string): string {
  return dir.startsWith("/") ? dir : `${Deno.env.get("INIT_CWD") ?? Deno.cwd()}/${dir}`;
}

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { dir: { type: "string" }, network: { type: "string" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) return say(usage());
  const [name, ...command] = positionals;
  const example = EXAMPLES.find((each) => each.name === name);
  if (example === undefined) throw new UsageError(`Unknown example ${JSON.stringify(name ?? "")}\n\n${usage()}`);
  const dir = values.dir === undefined ? `${ROOT}examples/${example.name}/.lighthouse` : fromHere(values.dir);
  await obey(await Fleet.open(dir, { network: values.network ?? example.network }), example, command);
}

try {
  await main(Deno.args);
  Deno.exit(0);
} catch (error) {
  const isUsage = error instanceof UsageError || error instanceof TypeError && "code" in error;
  // deno-lint-ignore no-console -- a program's last word
  console.error((error as Error).message);
  Deno.exit(isUsage ? 2 : 1);
}
