/**
 * Generates docs/events.md from `src/logging/events.ts`; run it to write the page:
 * `deno run --allow-write=docs tests/support/events_page.ts`.
 *
 * @module
 */
import { EVENTS, type LogEvent } from "../../src/logging/events.ts";

/** The page's sections, by the first part of an event's id. */
const TITLES: Readonly<Record<string, string>> = {
  process: "The process",
  config: "The config",
  host: "The host",
  check: "Checks",
  probe: "Probes",
  service: "Services",
  node: "Checks of nodes",
  registration: "Registrations",
  registry: "Registries",
  cluster: "Clusters",
  override: "Overrides",
  addition: "Additions",
  lifecycle: "Lifecycle interface",
  management: "Management of balancers",
  local: "Drains of this host",
  admin: "Admin interface",
  last_known: "Last known good members",
  writer: "Writers",
  balancer: "Balancers",
  once: "`writer --once`",
  keys: "Keys of registries",
  worker: "Workers",
  plugin: "Plugins",
  discovery: "Discovery methods",
  store: "The store",
  http: "Servers",
  status: "Status",
  log: "Log handlers",
  history: "History",
  notifier: "Notifiers",
  publisher: "Publishers",
  plan: "`lighthouse plan`",
};

const HEAD = `# Events

Every log record has an \`event\`: a stable id for searches, alerts and counters. Messages can change; ids do not.

\`\`\`sh
journalctl -u lighthouse-writer -o cat | grep 'event=balancer.reloaded'
lighthouse writer /etc/lighthouse --log-format json 2>&1 | jq 'select(.properties.event == "cluster.held")'
\`\`\`

| level | meaning |
| --- | --- |
| \`error\` | someone must act |
| \`warn\` | degraded, or about to be |
| \`info\` | a state changed |
| \`debug\` | everything else |

\`warn, debug\` means that a new condition is logged at \`warn\`, and repetitions at \`debug\`.
*Resolved by* is the event that ends the state.
`;

/** The whole page. */
export function eventsPage(): string {
  const groups = Map.groupBy(Object.entries(EVENTS), ([id]) => id.split(".")[0] ?? "");
  const sections = [...groups].map(([group, events]) =>
    [
      `## ${TITLES[group] ?? group}`,
      "",
      "| event | level | fields | meaning | what to do | resolved by |",
      "| --- | --- | --- | --- | --- | --- |",
      ...events.map(([id, event]) => row(id, event)),
      "",
    ].join("\n")
  );
  return [HEAD, ...sections].join("\n");
}

function row(id: string, { level, repeats, fields, meaning, action, resolvedBy }: LogEvent): string {
  const columns = [
    code(id),
    repeats ? `${level}, debug` : level,
    fields.map(code).join(", "),
    meaning,
    action,
    [resolvedBy ?? []].flat().map(code).join(", "),
  ];
  return `| ${columns.join(" | ")} |`;
}

function code(text: string): string {
  return `\`${text}\``;
}

if (import.meta.main) Deno.writeTextFileSync(new URL("../../docs/events.md", import.meta.url), eventsPage());
