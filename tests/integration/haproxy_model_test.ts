/**
 * Compares the model of HAProxy, which the simulation uses, with HAProxy itself:
 * the same random commands must give the same answers and lead to the same
 * servers.
 *
 * @module
 */
import assert from "node:assert/strict";
import { RuntimeSocket } from "../../src/balance/runtime_socket.ts";
import { type Random, seededRandom } from "../../src/kernel/random.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox } from "../support/haproxy.ts";
import { HaproxyModel } from "../support/haproxy_model.ts";
import { HAPROXY_VERSION } from "../support/haproxy_version.ts";
import { PROMPT } from "../../plugins/balancers/haproxy/sources.ts";

/** The number of sequences, and of commands in each. */
const SEQUENCES = 300, COMMANDS = 20;

const BACKENDS = ["round", "least", "static", "hashed", "spread", "absent"] as const;
const SERVERS = ["a:1", "b:2", "first", "last"] as const;
const FRONTENDS = ["open", "shut", "absent"] as const;
const ADDRESSES = ["127.0.0.1", "10.0.0.7", "::1"] as const;
const PORTS = [1, 8080, 65_535] as const;

/** The forms of a writer's and an operator's commands; checks are too rare to decide anything. */
function drawCommand(random: Random): string {
  const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)] as T;
  const key = `${pick(BACKENDS)}/${pick(SERVERS)}`;
  const address = pick(ADDRESSES);
  const options = pick([
    "",
    " id 7",
    " id 8",
    " check inter 1h",
    " id 9 check inter 1h",
    " cookie x",
    " weight 3",
    " weight 0",
  ]);
  return pick([
    () => `add server ${key} ${address.includes(":") ? `[${address}]` : address}:${pick(PORTS)}${options}`,
    () => `add server ${key} ${address.includes(":") ? `[${address}]` : address}:${pick(PORTS)} id ${pick([11, 12])}`,
    () => `del server ${key}`,
    () => `enable server ${key}`,
    () => `enable health ${key}`,
    () => `set server ${key} state ${pick(["maint", "ready", "drain"])}`,
    () => `set server ${key} state maint`,
    () => `set server ${key} health ${pick(["down", "up"])}`,
    () => `set server ${key} addr ${address} port ${pick(PORTS)}`,
    () => `set server ${key} weight ${pick(["100%", "50%", "0%", "0", "1", "3", "256", "257"])}`,
    () => `shutdown sessions server ${key}`,
    () => `${pick(["disable", "enable"])} frontend ${pick(FRONTENDS)}`,
    // Nothing opens the frontend again.
    () => "shutdown frontend shut",
    () => "show stat -1 1 -1",
    () => "show backend",
    () => "show env LIGHTHOUSE_STRUCTURE",
  ])();
}

/** The meaning of an answer for the writer, without what varies between runs and wordings. */
function meaning(answer: string): string {
  if (/^(?:IP changed|port changed|no need to change|nothing changed)/.test(answer)) return "moved";
  if (answer.startsWith("# pxname,")) {
    const [header = [], ...rows] = answer.split("\n").map((row) => row.replace(/^# /, "").split(","));
    const columns = ["pxname", "svname", "status"].map((name) => header.indexOf(name));
    return rows.map((row) => columns.map((column) => row[column]).join(" ")).join("\n").trim();
  }
  return answer.replace(/ at .*$/s, "");
}

/** The columns of `show servers state` that the writer reads. */
function servers(answer: string): readonly string[] {
  const [, header = "", ...rows] = answer.split("\n");
  const columns = header.replace(/^# /, "").split(" ");
  return rows.filter((row) => row !== "").map((row) => {
    const fields = row.split(" ");
    const of = (name: string) => fields[columns.indexOf(name)] ?? "?";
    const check = Number(of("srv_check_state")) & 0x06;
    const weight = `weight ${of("srv_uweight")} of ${of("srv_iweight")}`;
    const state = check === 0 ? of("srv_op_state") : "by its check";
    const isAdministered = Number(of("srv_admin_state")) & 0x09;
    return [
      of("be_name"),
      of("srv_name"),
      of("srv_id"),
      of("srv_addr"),
      of("srv_port"),
      isAdministered,
      check,
      state,
      weight,
    ]
      .join(" ");
  }).toSorted();
}

/** Whether a command changes a server's address: from 3.0 on that is visible on a new connection, soon but not at once. */
function isMove(command: string): boolean {
  return /^set server \S+ addr /.test(command);
}

/** Commands that can be sent together: an address change is the last of its batch. */
function batches(commands: readonly string[]): readonly (readonly string[])[] {
  const batches: string[][] = [[]];
  for (const command of commands) {
    batches.at(-1)?.push(command);
    if (isMove(command)) batches.push([]);
  }
  return batches.filter((batch) => batch.length > 0);
}

/** Starts HAProxy and its model with one file. */
async function bootBoth(box: HaproxyBox, file: string): Promise<HaproxyModel> {
  await Deno.writeTextFile(box.configFile, file);
  await box.run("-D", "-f", box.configFile, "-p", box.pidFile);
  const model = new HaproxyModel();
  model.programVersion = HAPROXY_VERSION;
  model.file = file;
  model.boot();
  return model;
}

Deno.test("the model of HAProxy times a drain like HAProxy", async () => {
  await using box = new HaproxyBox();
  const file = [
    "global",
    `\tstats socket ${box.socketFile} mode 600 level admin`,
    "defaults",
    "\ttimeout connect 1s",
    "\ttimeout client 1s",
    "\ttimeout server 1s",
    "backend web",
    "\tserver a:1 127.0.0.1:9",
    "",
  ].join("\n");
  const model = await bootBoth(box, file);
  const since = (answer: string) => {
    const [, header = "", row = ""] = answer.split("\n");
    return Number(row.split(" ")[header.replace(/^# /, "").split(" ").indexOf("srv_time_since_last_change")]);
  };
  const state = async () => (await box.ask("show servers state"))[0] ?? "";
  await eventually("the server has been up for a while", async () => since(await state()) >= 2);
  model.now = () => 2_000;
  await box.ask("set server web/a:1 state drain");
  model.command("set server web/a:1 state drain");
  assert.equal(since(await state()) >= 2, since(model.command("show servers state")) >= 2);
  await box.ask("set server web/a:1 state maint");
  model.command("set server web/a:1 state maint");
  assert.equal(since(await state()) >= 2, since(model.command("show servers state")) >= 2);
});

Deno.test("the model of HAProxy responds like HAProxy, and ends with the same servers", async () => {
  await using box = new HaproxyBox();
  const file = [
    "global",
    "\tsetenv LIGHTHOUSE_STRUCTURE abc123",
    `\tstats socket ${box.socketFile} mode 600 level admin`,
    "defaults",
    "\tmode http",
    "\ttimeout connect 1s",
    "\ttimeout client 1s",
    "\ttimeout server 1s",
    ...["open", "shut"].flatMap((name) => [`frontend ${name}`, `\tbind 127.0.0.1:${freePort()}`]),
    "backend round",
    "\tserver first 127.0.0.1:9 id 3 weight 0 # lighthouse: state=drain",
    "\tserver last 127.0.0.1:9 id 4 weight 5 disabled # lighthouse: weight=5 state=maint",
    "backend least",
    "\tbalance leastconn",
    "backend static",
    "\tbalance static-rr",
    "\tserver first 127.0.0.1:9",
    "\tserver last 127.0.0.1:9 weight 7",
    "backend hashed",
    "\tbalance uri",
    "backend spread",
    "\tbalance uri",
    "\thash-type consistent",
    "",
  ].join("\n");
  const model = await bootBoth(box, file);
  using socket = await RuntimeSocket.connect(box.socketFile, { dialect: PROMPT, signal: new AbortController().signal });
  const random = seededRandom(Number(Deno.env.get("SEED") ?? 1));
  for (let sequence = 0; sequence < SEQUENCES; sequence++) {
    const commands = Array.from({ length: COMMANDS }, () => drawCommand(random));
    const story: string[] = [];
    for (const batch of batches(commands)) {
      const answers = await socket.ask(batch.flatMap((command) => [command, "show servers state"]));
      for (const [i, command] of batch.entries()) {
        const [said = "", state = ""] = answers.slice(2 * i, 2 * i + 2);
        const modelled = model.command(command);
        story.push(`${command} => ${said}`);
        const told = `sequence ${sequence}:\n${story.join("\n")}`;
        assert.equal(meaning(modelled), meaning(said), told);
        if (isMove(command)) {
          model.settle();
          const is = servers(model.command("show servers state"));
          await eventually("the server has moved", async () => {
            const [state = ""] = await box.ask("show servers state");
            assert.deepEqual(is, servers(state), told);
            return true;
          });
        } else assert.deepEqual(servers(model.command("show servers state")), servers(state), told);
      }
    }
  }
});
