import type { ClusterName, Explanation, FileFault, Origin } from "../../../mod.ts";
import { isGuard } from "./directives.ts";
import { clusterOfFrontend } from "./frontend_names.ts";
import { twinOf } from "./twins.ts";
import { PEERS_SECTION, sharesWith } from "./peers.ts";
import type { HaproxyFile } from "./render.ts";
import { peersListener, sectionListening, skeletonOf } from "./structure.ts";
import { words } from "./words.ts";

/** Lines of HAProxy's output that only summarize others, or say that it continues. */
const EMPTY_WORDS = new RegExp([
  "Error\\(s\\) found in configuration file",
  "Fatal errors found in configuration",
  "Failed to initialize server\\(s\\) addr",
  "failed to start their",
  "already specified\\. Continuing",
  "exited with code",
  "Warnings were found\\. *$",
].join("|"));

/** What keeps any process from running, whatever its config. */
const NO_FAULT_OF_A_CONFIG =
  /\b(?:Cannot fork|Out of memory|Cannot allocate memory|Resource temporarily unavailable|Too many open files)\b/i;

/** How the host reports an address that is unavailable. */
const TAKEN_ADDRESS = /\baborted: cannot bind (\S+): /;

/** Parts of the balancer's own file that are a section each, which can be left out as a whole. */
const SECTION_KEYS = new Set(["proxies", "meta_clusters", "stats"]);

/** Interprets HAProxy's output when it rejected a file, or the reason why it was not asked to load it. */
export function explain(rendered: HaproxyFile, output: string): Explanation {
  const file = new RenderedFile(rendered);
  const said = output.split("\n").filter((line) => !EMPTY_WORDS.test(line));
  // If there are alerts, warnings are not the reason.
  const alerts = [/\[ALERT\]/, /\[WARNING\]/].map((level) => said.filter((line) => level.test(line)))
    .find((lines) => lines.length > 0) ?? [];
  const texts = [...new Set(alerts.length === 0 ? [output] : alerts)];
  if (texts.every((text) => NO_FAULT_OF_A_CONFIG.test(text))) return { cluster: undefined, faults: [] };
  const faults = new Map<string, FileFault>();
  for (const text of texts) {
    const fault = file.faultOf(text);
    // A fault that follows from a line's fault is reported with that line; two faults of one section are two.
    const key = file.hasLineOf(text) ? JSON.stringify(fault.origin) : text;
    if (!faults.has(key)) faults.set(key, fault);
  }
  return {
    cluster: texts.map((text) => file.clusterAtFault(text)).find((cluster) => cluster !== undefined),
    faults: [...faults.values()],
  };
}

/** A line of the file: its number from 1, its text, and the header above it. */
interface Placed {
  readonly number: number;
  readonly text: string;
  readonly header: string;
  readonly origin: Origin | undefined;
}

/** A rendered file, to find what caused a fault. */
class RenderedFile {
  readonly #lines: readonly Placed[];
  readonly #clusters: ReadonlySet<ClusterName>;
  /** The clusters that have a frontend of their own, by its header. */
  readonly #frontends: ReadonlyMap<string, ClusterName>;
  readonly #text: string;

  constructor({ text, origins }: HaproxyFile) {
    this.#text = text;
    let header = "";
    this.#lines = text.split("\n").map((line, index) => {
      if (/^[a-z]/.test(line)) header = line;
      return { number: index + 1, text: line.trim(), header, origin: origins.get(index + 1) };
    });
    const backends = this.#lines.flatMap(({ header }) => /^backend (\S+)$/.exec(header)?.[1] ?? []);
    this.#clusters = new Set(backends.filter((name) => twinOf(name) === undefined));
    this.#frontends = new Map(
      [...skeletonOf(text)].flatMap(([header, lines]) => {
        const cluster = clusterOfFrontend(header, lines);
        return cluster === undefined ? [] : [[header, cluster]];
      }),
    );
  }

  faultOf(fault: string): FileFault {
    const meant = this.#linesOf(fault);
    const first = meant.at(0);
    const unresolved = /could not resolve address '([^']+)'/.exec(fault)?.[1];
    const remedy = new Map(
      meant.flatMap((line) => remedyOf(line) ?? []).map((origin) => [JSON.stringify(origin), origin]),
    );
    return {
      message: describe(fault, first),
      origin: first?.origin ?? this.#sectionAtFault(fault),
      remedy: meant.every((line) => remedyOf(line) !== undefined) ? [...remedy.values()] : [],
      ...unresolved !== undefined && { unresolved },
    };
  }

  /** Whether a fault is about a line of the config, not about a section as a whole. */
  hasLineOf(fault: string): boolean {
    return this.#linesOf(fault).at(0)?.origin !== undefined;
  }

  /** The cluster whose section a fault is in; a meta cluster's choices belong to their clusters. */
  clusterAtFault(fault: string): ClusterName | undefined {
    const line = this.#lineOf(fault);
    const found = line === undefined
      ? this.#sectionsNamed(fault).map((header) => this.#nameIn(header))
      : [line.origin?.cluster ?? (/^(?:frontend|backend) /.test(line.header) ? this.#nameIn(line.header) : "")];
    return found.map((name) => twinOf(name) ?? name).find((name) => this.#clusters.has(name));
  }

  /** What in the config a section comes from that a fault names without one of its lines. */
  #sectionAtFault(fault: string): Origin | undefined {
    const cluster = this.clusterAtFault(fault);
    if (cluster !== undefined) return { cluster, path: [] };
    const [header] = this.#sectionsNamed(fault);
    const { path: [first, second] = [] } = this.#lines.find((line) => line.header === header && line.origin)?.origin ??
      {};
    if (typeof first !== "string" || !SECTION_KEYS.has(first)) return undefined;
    return { path: first === "stats" || second === undefined ? [first] : [first, second] };
  }

  /** What a section is named after: the cluster, if it is one's own frontend. */
  #nameIn(header: string): string {
    return this.#frontends.get(header) ?? header.slice(header.indexOf(" ") + 1);
  }

  /** The lines that a fault is about: the one that it gives, or those that it most likely means. */
  #linesOf(fault: string): readonly Placed[] {
    const line = this.#lineOf(fault);
    if (line !== undefined && line.header === `peers ${PEERS_SECTION}`) return this.#sharingLines();
    if (line !== undefined) return [line.text === line.header ? this.#opening(line) : line];
    const listener = this.#listener(fault);
    if (listener !== undefined) {
      if (listener === peersListener(this.#text)) return this.#sharingLines();
      const header = sectionListening(this.#text, listener);
      return this.#lines.filter((line) => line.header === header && words(line.text)[0] === "bind");
    }
    const [, from, to] = /frontend '([^']+)'.* backend '([^']+)'.* in a 'use_backend' rule/.exec(fault) ?? [];
    if (from !== undefined && to !== undefined) {
      const isChoice = ([keyword, backend]: readonly string[]) => keyword === "use_backend" && backend === to;
      return this.#lines.filter(({ header, text }) => header === `frontend ${from}` && isChoice(words(text)));
    }
    if (/log format ignored for/.test(fault)) {
      const own = new Set([...this.#sectionsNamed(fault), "defaults"]);
      return this.#lines.filter(({ header, text }) => own.has(header) && setsLogFormat(text)).slice(-1);
    }
    // HAProxy names the value alone; where two lines have it, either may be meant.
    const [, timer] = /after the timer value '([^']+)'/.exec(fault) ?? [];
    if (timer !== undefined) {
      return this.#lines.filter(({ origin, text }) => origin !== undefined && words(text).includes(timer));
    }
    // HAProxy reads a file once, before it reports each line that uses it; `ca-base` may stand before its name.
    const [, keyword, path] = /'([a-z-]+)' : unable to load (\S+?)\.?\s*$/.exec(fault) ?? [];
    if (keyword !== undefined && path !== undefined) {
      const uses = (all: readonly string[]) =>
        all.some((word, at) => all[at - 1] === keyword && (word === path || path.endsWith(`/${word}`)));
      return this.#lines.filter(({ origin, text }) => origin !== undefined && uses(words(text)));
    }
    if (!/unable to find/.test(fault)) return [];
    const [, ...quoted] = [...fault.matchAll(/'([^']+)'/g)].map(([, word = ""]) => word);
    const own = new Set(this.#sectionsNamed(fault));
    const candidates = this.#lines.filter(({ header, origin }) => own.has(header) && origin !== undefined);
    const isNamed = ({ text }: Placed) => {
      const said = new Set(words(text));
      return quoted.some((word) => said.has(word));
    };
    // `stick on` without a table means the section's own.
    const isImplied = ({ text }: Placed) => {
      const [keyword, rule = "", ...rest] = words(text);
      return /unable to find stick-table/.test(fault) && keyword === "stick" && /^(?:on|match|store)/.test(rule) &&
        !rest.includes("table");
    };
    return candidates.filter((line) => isNamed(line) || isImplied(line));
  }

  /** The headers of sections that a fault names. */
  #sectionsNamed(fault: string): readonly string[] {
    const listener = this.#listener(fault);
    const listening = listener === undefined ? undefined : sectionListening(this.#text, listener);
    if (listening !== undefined) return [listening];
    // A name may contain colons, and be followed by one.
    const named = /(?:[Pp]roxy|frontend|backend|listen) (?:'([^']+)'|([A-Za-z0-9_.:-]+?)(?=[:,]?(?:\s|$)))/g;
    const names = [...fault.matchAll(named)].map(([, quoted, plain = ""]) => quoted ?? plain);
    const headers = new Set(this.#lines.map(({ header }) => header));
    return names.flatMap((name) => ["frontend", "backend", "listen"].map((kind) => `${kind} ${name}`))
      .filter((header) => headers.has(header));
  }

  /** The header of a section, with the origin of its port: so it has a place, and its section a remedy. */
  #opening(line: Placed): Placed {
    const below = this.#lines.slice(line.number);
    const next = below.findIndex(({ text, header }) => text === header && text !== "");
    const own = below.slice(0, next === -1 ? undefined : next);
    return { ...line, origin: own.find(({ text }) => words(text)[0] === "bind")?.origin };
  }

  #sharingLines(): readonly Placed[] {
    return this.#lines.filter((line) => sharesWith(line) === PEERS_SECTION);
  }

  #listener(fault: string): string | undefined {
    return TAKEN_ADDRESS.exec(fault)?.[1];
  }

  #lineOf(fault: string): Placed | undefined {
    const number = /\[[^\]\s]*:([0-9]+)\](?!:[0-9])/.exec(fault)?.[1];
    return number === undefined ? undefined : this.#lines[Number(number) - 1];
  }
}

/**
 * What could be left out so that HAProxy accepts the rest: the line, or else the section if it is not a
 * cluster's. What restricts requests is not left out by itself, nor is a port or a name.
 */
function remedyOf({ text, origin }: Placed): Origin | undefined {
  if (origin === undefined) return undefined;
  const { cluster, path: [first, second] } = origin;
  const leaf = origin.path.at(-1);
  const isLine = typeof leaf === "number" || leaf === "acl" || (leaf === "server_options" && !/\sssl\b/.test(text));
  if (isLine && !isGuard(text)) return origin;
  if (cluster !== undefined || typeof first !== "string" || !SECTION_KEYS.has(first)) return undefined;
  return { path: first === "stats" || second === undefined ? [first] : [first, second] };
}

/** Whether a line sets the format of log lines. */
function setsLogFormat(line: string): boolean {
  const [first = "", second = ""] = words(line);
  return first === "log-format" || (first === "option" && /^(?:http|https|tcp)log$/.test(second));
}

/** Drops the process and the path, and quotes the line in question. */
function describe(fault: string, meant: Placed | undefined): string {
  const said = fault.replace(/^\[(?:ALERT|WARNING)\]\s*\([0-9]+\)\s*:\s*/, "").replace(/^config : /, "")
    .replace(/^(?:[Pp]arsing )?\[[^\]]*\]\s*:\s*/, "").trim();
  // The host's message about an address names it already.
  if (meant === undefined || meant.text === "" || TAKEN_ADDRESS.test(fault)) return said;
  // A line of the config is found by its place there.
  return `${said} (${meant.origin === undefined ? `line ${meant.number}: ` : ""}${JSON.stringify(meant.text)})`;
}
