import { formatPath, type Path } from "./path.ts";
import { Branch, compactText, List, type Tree } from "./tree.ts";

/** Contents of the page. */
export interface PageView {
  /** The address of the instance. */
  readonly me: string;
  readonly version: string;
  readonly isAvailable: boolean;
  /** Holder of the lock: a token's name, or "somebody"; `undefined` if the lock is free. */
  readonly lockHolder: string | undefined;
  readonly cluster: readonly {
    readonly address: string;
    readonly reachable: boolean;
    readonly lastReachable: string | undefined;
    readonly version: string | undefined;
  }[];
  readonly lost: readonly string[];
  readonly leases: readonly {
    readonly name: string;
    readonly expiresSeconds: number;
    readonly ttlSeconds: number;
    readonly keys: readonly string[];
  }[];
  /** The path shown. */
  readonly path: Path;
  /** The value there; `undefined` if none. `barred`: it may not be read. */
  readonly tree: Tree | undefined | "barred";
}

/** Further values, leases and keys are only counted, to bound the page. */
const VALUES_MAX = 2_000;
const LEASES_MAX = 200;
const KEYS_MAX = 20;
const TEXT_LENGTH_MAX = 1_000;

/** The page's style. The content security policy allows only this, by its hash. */
export const STYLE = `:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{max-width:70rem;margin:1rem auto;padding:0 1rem}h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse}th,td{text-align:left;padding:.1rem 1.5rem .1rem 0;vertical-align:top}
code,.tree{font:14px/1.6 ui-monospace,monospace;overflow-wrap:anywhere}
.tree ul{list-style:none;margin:0;padding-left:1.3rem}.tree>ul{padding-left:0}summary{cursor:pointer}
.quiet{opacity:.65}.bad{color:light-dark(#b3261e,#ff897d);font-weight:600}`;

/** Renders the page: HTML without scripts or resources, with all stored data escaped. */
export function renderPage(view: PageView): string {
  const { me, version, isAvailable, lockHolder, cluster, lost, path } = view;
  const rows = [
    ["Version", `<code>${text(version)}</code>`],
    ["Served", isAvailable ? "yes" : '<span class="bad">not yet: a peer may have a newer version</span>'],
    ["Lock", lockHolder === undefined ? "free" : `held by ${text(lockHolder)}`],
  ];
  const peers = cluster.map((each) =>
    row([
      `<code>${text(each.address)}</code>`,
      each.reachable ? "reachable" : '<span class="bad">unreachable</span>',
      `<code>${text(each.version ?? "unknown")}</code>`,
      text(each.lastReachable ?? "never"),
    ])
  );
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${text(me)} - Lighthouse store</title><style>${STYLE}</style></head><body>
<h1>Lighthouse store <code>${text(me)}</code></h1>
<table>${rows.map(([name = "", value = ""]) => `<tr><th>${name}</th><td>${value}</td></tr>`).join("")}</table>
<h2>Document ${crumbs(path)}</h2>
<div class="tree">${renderTree(view)}</div>
<h2>Leases</h2>
${renderLeases(view.leases)}
<h2>Cluster</h2>
${peers.length === 0 ? none("no peers") : table(["Address", "", "Version", "Last contact"], peers)}
${
    lost.length === 0
      ? ""
      : `<h2>Lost versions</h2><ul>${lost.map((name) => `<li><code>${text(name)}</code>`).join("")}</ul>`
  }
<p class="quiet">Machine-readable: <a href="/state">/state</a> <a href="/lease">/lease</a> <a href="/metrics">/metrics</a>
<a href="${attribute(`/data${formatPath(path)}`)}">/data${text(formatPath(path))}</a></p>
</body></html>
`;
}

function renderTree({ tree, path }: PageView): string {
  if (tree === undefined) return none("no value");
  if (tree === "barred") return none("permission denied");
  const budget = { left: VALUES_MAX };
  return `<ul>${renderRow({ label: undefined, tree, path, depth: 0 }, budget)}</ul>`;
}

interface Row {
  readonly label: string | undefined;
  readonly tree: Tree;
  readonly path: Path;
  readonly depth: number;
}

function renderRow({ label, tree, path, depth }: Row, budget: { left: number }): string {
  budget.left--;
  const link = `<a href="${attribute(`/?path=${encodeURIComponent(formatPath(path))}`)}"><bdi>${
    text(label ?? "/")
  }</bdi></a>`;
  const children: readonly (readonly [string, Tree])[] = tree instanceof Branch
    ? tree.keys.map((key, i) => [key, tree.values[i] as Tree])
    : tree instanceof List
    ? tree.items.map((item, i) => [String(i), item])
    : [];
  if (children.length === 0) return `<li>${link}: <bdi>${text(compactText(tree))}</bdi>`;
  const brackets = tree instanceof List ? "[ ]" : "{ }";
  const summary = `<summary>${link} <span class="quiet">${brackets} ${children.length}</span></summary>`;
  const shown: string[] = [];
  for (const [key, child] of children) {
    if (budget.left <= 0) break;
    shown.push(renderRow({ label: key, tree: child, path: [...path, key], depth: depth + 1 }, budget));
  }
  const left = children.length - shown.length;
  const more = left === 0 ? "" : `<li class="quiet">${left} more`;
  return `<li><details${depth < 2 ? " open" : ""}>${summary}<ul>${shown.join("")}${more}</ul></details>`;
}

function renderLeases(leases: PageView["leases"]): string {
  if (leases.length === 0) return none("none");
  const rows = leases.slice(0, LEASES_MAX).map(({ name, expiresSeconds, ttlSeconds, keys }) => {
    const more = keys.length > KEYS_MAX ? `<br><span class="quiet">${keys.length - KEYS_MAX} more</span>` : "";
    const shown = keys.slice(0, KEYS_MAX).map((key) => `<code>${text(key)}</code>`).join("<br>");
    return row([`<bdi>${text(name)}</bdi>`, `${expiresSeconds.toFixed(0)} of ${ttlSeconds} s`, `${shown}${more}`]);
  });
  const left = leases.length - rows.length;
  return table(["Name", "Ends in", "Keys"], rows) + (left === 0 ? "" : none(`${left} more`));
}

function crumbs(path: Path): string {
  const steps = path.map((name, i) => [name, path.slice(0, i + 1)] as const);
  return [["/", []] as const, ...steps].map(([name, to]) =>
    `<a href="${attribute(`/?path=${encodeURIComponent(formatPath(to))}`)}"><bdi>${text(name)}</bdi></a>`
  ).join(" ");
}

function table(heads: readonly string[], rows: readonly string[]): string {
  return `<table><tr>${heads.map((head) => `<th>${head}</th>`).join("")}</tr>${rows.join("")}</table>`;
}

function row(cells: readonly string[]): string {
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}

function none(what: string): string {
  return `<p class="quiet">${what}</p>`;
}

/** Escapes a string for an element or a quoted attribute; a long one is truncated. */
function text(raw: string): string {
  const cut = raw.length > TEXT_LENGTH_MAX ? `${raw.slice(0, TEXT_LENGTH_MAX)}…` : raw;
  return attribute(cut);
}

function attribute(raw: string): string {
  return raw.toWellFormed().replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
