/**
 * Lines of HAProxy's config as other tools keep them: which section of a
 * frontend and a backend each belongs to. Pure.
 *
 * @module
 */

/** What stands in frontends alone. */
const FRONTEND =
  /^(?:bind|use_backend|default_backend|monitor(?:-net|-uri| fail)|capture|maxconn|rate-limit|unique-id|log-format|backlog|force-persist|id\b|timeout client|timeout http-keep-alive|option (?:httplog|tcplog|dontlognull|dontlog-normal|contstats|logasap|log-separate-errors|socket-stats|clitcpka|tcp-smart-accept|accept-invalid-http-request|http-buffer-request|forwardfor))/;

/** What stands in backends alone. */
const BACKEND =
  /^(?:balance|server|default-server|cookie|hash-type|fullconn|http-check|tcp-check|http-reuse|retries|retry-on|stick|dispatch|source|timeout (?:server|connect|queue|check|tunnel)|option (?:httpchk|redispatch|srvtcpka|tcpka|allbackups|ssl-hello-chk|ldap-check|mysql-check|pgsql-check|redis-check|smtpchk|tcp-check|abortonclose|prefer-last-server|persist|spop-check|tcp-smart-connect|accept-invalid-http-response|log-health-checks|transparent|external-check))/;

/** Splits the lines of a `listen` section: what both may have goes to both. */
export function splitListen(
  lines: readonly string[],
): { readonly frontend: readonly string[]; readonly backend: readonly string[] } {
  const plain = lines.map((line) => line.trim());
  const isNot = (pattern: RegExp) => (line: string) => !pattern.test(line.replace(/^no /, ""));
  return { frontend: plain.filter(isNot(BACKEND)), backend: plain.filter(isNot(FRONTEND)) };
}

/** `stats socket /run/h.sock level admin`: the path. */
export function statsSocketOf(lines: readonly string[]): string | undefined {
  return lines.map((line) => /^stats\s+socket\s+(?:unix@)?(\/\S+)/.exec(line.trim())?.[1]).find((path) => path);
}

/** `pidfile /run/h.pid`: the path. */
export function pidFileOf(lines: readonly string[]): string | undefined {
  return lines.map((line) => /^pidfile\s+(\/\S+)/.exec(line.trim())?.[1]).find((path) => path);
}

/** `bind 127.0.0.1:8081 ssl`: the address, the port, and what else it says. */
export function readBind(
  line: string,
): { readonly address: string | undefined; readonly port: number; readonly options: string } | undefined {
  const [, host = "", port = "", options = ""] = /^bind\s+(\S*?):([0-9]{1,5})(?:\s+(.*))?$/.exec(line.trim()) ?? [];
  const number = Number(port);
  if (port === "" || number < 1 || number > 65_535) return undefined;
  const address = host === "localhost" ? "127.0.0.1" : host === "*" || host === "" ? undefined : host;
  return { address, port: number, options };
}

/** A command line of a shell as a list: its words if the shell does nothing to them, else the shell with the line. */
export function commandList(line: string): readonly string[] {
  const words = line.trim().split(/\s+/);
  return /^[\w\s./:=@%+,-]+$/.test(line) && !/^\w+=/.test(words[0] ?? "") ? words : ["/bin/sh", "-c", line];
}
