import { quote } from "../../../src/model/node.ts";
import type { HaproxyWanted } from "./config.ts";
import type { FrontendNames } from "./frontend_names.ts";
import type { Tell } from "./lines.ts";
import { words } from "./words.ts";

/**
 * Finds a user's own lines that refer to a frontend by its name before HAProxy 3.1: HAProxy rejects them, or
 * takes another section for it. A line that is left out for that is reported as well, since it is to be
 * corrected.
 */
export function tellRenamedFrontends({ config, clusters }: HaproxyWanted, names: FrontendNames, tell: Tell): void {
  const renamed = [
    ...clusters.map(({ name, config: { frontend, backend } }) => ({
      name,
      // A table of the backend keeps its name, and is what the line means.
      hasTable: definesTable(frontend) && !definesTable(backend),
      now: names.ofClusters.get(name),
    })),
    ...config.metaClusters.map(({ name, frontend }) => ({
      name,
      hasTable: definesTable(frontend),
      now: names.ofMetas.get(name),
    })),
  ].filter(({ name, now }) => now !== undefined && now !== name);
  if (renamed.length === 0) return;
  const lists = [
    { where: "defaults", lines: config.defaults, origin: { path: ["defaults"] } },
    ...config.metaClusters.map(({ name, frontend }) => ({
      where: `frontend ${names.ofMetas.get(name) ?? name}`,
      lines: frontend,
      origin: { path: ["meta_clusters", name, "frontend"] },
    })),
    ...config.proxies.map(({ name, options }) => ({
      where: `listen ${name}`,
      lines: options,
      origin: { path: ["proxies", name, "options"] },
    })),
    ...clusters.flatMap(({ name, config: { frontend, backend } }) => [
      {
        where: `frontend ${names.ofClusters.get(name) ?? name}`,
        lines: names.ofClusters.has(name) ? frontend : [],
        origin: { cluster: name, path: ["frontend"] },
      },
      { where: `backend ${name}`, lines: backend, origin: { cluster: name, path: ["backend"] } },
    ]),
  ];
  for (const { where, lines, origin } of lists) {
    for (const [index, line] of lines.entries()) {
      for (const { name, hasTable, now } of renamed) {
        if (!namesFrontend(line, name) && !(hasTable && namesTable(line, name))) continue;
        tell(
          `${where}: line ${
            quote(line)
          } refers to frontend ${name}, which is named ${now} since HAProxy 3.1; use ${now}`,
          { ...origin, path: [...origin.path, index] },
        );
      }
    }
  }
}

function definesTable(lines: readonly string[]): boolean {
  return lines.some((line) => words(line)[0] === "stick-table");
}

/** Whether a line queries a frontend: `fe_conn(web)`. */
function namesFrontend(line: string, name: string): boolean {
  return new RegExp(`\\bfe_[a-z_]+\\(\\s*${RegExp.escape(name)}\\s*\\)`).test(line);
}

/**
 * Whether a line means a section's table: `table web`, `src_conn_rate(web)`, `sc_get_gpc0(0,web)`,
 * `in_table(web)`.
 */
function namesTable(line: string, name: string): boolean {
  const all = words(line);
  return all.some((word, index) => word === "table" && all[index + 1] === name) ||
    new RegExp(
      `\\b(?:(?:src|sc[0-2]?|table)_[a-z0-9_]+|in_table)\\((?:[^(),]*,)?\\s*${RegExp.escape(name)}\\s*\\)`,
    ).test(line);
}
