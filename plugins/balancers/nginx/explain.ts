import type { Explanation, Origin } from "../../../mod.ts";
import type { NginxFile } from "./render.ts";
import { readLine } from "./words.ts";

/** nginx's message about a file that it rejects: the first fault, with its line if known. */
const FAULT = /\[(?:emerg|crit|alert)\] (?:[0-9]+#[0-9]+: )?(.*)/;

/** The host's message about an address that another process holds. */
const TAKEN_ADDRESS = /cannot bind (\S+): address already in use/;

/** What the system denies nginx, with a file. */
const SYSTEM_FAULT = /^(?:open|mkdir|chown|chmod|unlink|bind)\(\) (?:to )?(?:"|unix:)?(\/[^"]*?)"? failed/;

/** Directives that restrict requests: a config without them would let in what it should not. */
const GUARDS: ReadonlySet<string> = new Set([
  "allow",
  "deny",
  "geo",
  "if",
  // An access list may be behind it.
  "include",
  "internal",
  "map",
  "return",
  "rewrite",
  "satisfy",
  "valid_referers",
]);

/** Families of them, and of their settings; modules add more. */
const GUARD_FAMILY = /^(?:auth_|access_by_|modsecurity|js_access|ssl_|proxy_ssl_|limit_|real_ip_|set_real_ip)/;

/** Debian's nginx has it as a separate module. */
const NO_STREAM = "nginx has no stream module: install it (Debian: libnginx-mod-stream) and add the line " +
  "load_module modules/ngx_stream_module.so to main";

/**
 * Interprets nginx's output when it rejected a file, so that one invalid cluster does not stop the others.
 * nginx stops at the first fault.
 */
export function explain({ text, origins }: NginxFile, configFile: string, output: string): Explanation {
  const lines = text.split("\n");
  const fault = FAULT.exec(output)?.[1] ?? output.trim();
  const [, place, number] = /\bin (\S+):([0-9]+)$/.exec(fault) ?? [];
  // The lines of an included file are not in this file.
  if (place !== undefined && place !== configFile) return { faults: [{ message: fault, remedy: [] }] };
  const at = number === undefined ? lineWithout(fault, lines) : Number(number);
  const line = at === undefined ? undefined : lines[at - 1]?.trim();
  const origin = at === undefined ? undefined : origins.get(at);
  // A directory that is missing, or not writable for this user, is no fault of the config.
  const isSystem = number === undefined && SYSTEM_FAULT.test(fault) &&
    (origin === undefined || ["pid_file", "status_socket"].includes(String(origin.path[0])));
  if (isSystem) return { faults: [] };
  // Of OpenSSL's addition, the system's reason is useful.
  const said = fault.replace(/ in \S+:[0-9]+$/, "").replace(
    / \(SSL: (?:.*?::([^:]+):calling )?.*$/,
    (_, reason?: string) => reason === undefined ? "" : ` (${reason})`,
  );
  const message = said === 'unknown directive "stream"'
    ? NO_STREAM
    : line === undefined || TAKEN_ADDRESS.test(said)
    ? said
    : `${said} (${origin === undefined ? `line ${at}: ` : ""}${JSON.stringify(line)})`;
  return { cluster: origin?.cluster, faults: [{ message, origin, remedy: remedyOf(origin, line ?? "") }] };
}

/** Finds the line that a fault without a number is about: a certificate, or an address. */
function lineWithout(fault: string, lines: readonly string[]): number | undefined {
  const find = (isIt: (line: string) => boolean) => {
    const at = lines.findIndex((line) => isIt(line.trim()));
    return at === -1 ? undefined : at + 1;
  };
  const [, file] = /^cannot load certificate(?: key)? "([^"]+)"/.exec(fault) ?? [];
  if (file !== undefined) {
    const isKey = fault.startsWith("cannot load certificate key");
    const directive = isKey ? "ssl_certificate_key" : "ssl_certificate";
    return find((line) => readLineOf(line).some(([name, value]) => name === directive && value === file));
  }
  const path = SYSTEM_FAULT.exec(fault)?.[1];
  if (path !== undefined) {
    return find((line) => readLineOf(line).some((words) => words.includes(path) || words.includes(`unix:${path}`)));
  }
  const bound = /^bind\(\) to (\S+) failed/.exec(fault)?.[1] ?? TAKEN_ADDRESS.exec(fault)?.[1];
  if (bound === undefined) return undefined;
  return find((line) => readLineOf(line).some(([name, value]) => name === "listen" && value === bound));
}

function readLineOf(line: string): readonly (readonly string[])[] {
  const read = readLine(line);
  return read.ok ? read.directives : [];
}

/**
 * What could be left out so that nginx accepts the rest: a line, or a server that a fault is in. What
 * restricts requests is never left out by itself.
 */
function remedyOf(origin: Origin | undefined, line: string): readonly Origin[] {
  if (origin === undefined) return [];
  const { cluster, path } = origin;
  const isLine = typeof path.at(-1) === "number" &&
    ["main", "events", "http", "stream", "lines"].includes(String(path.at(-2)));
  const isGuard = readLineOf(line).some(([name = ""]) => GUARDS.has(name) || GUARD_FAMILY.test(name));
  if (isLine && !isGuard) return [origin];
  if (cluster !== undefined) return [];
  const [first, name] = path;
  return first === "servers" && name !== undefined ? [{ path: [first, name] }] : [];
}
