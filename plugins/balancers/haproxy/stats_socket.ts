import type { HaproxyConfig } from "./config.ts";
import type { Line, Tell } from "./lines.ts";
import { words } from "./words.ts";

/** Settings of a socket that the writer needs, which may be set by the user: who may connect. */
const KEPT = new Set(["mode", "user", "uid", "group", "gid"]);

/** The defaults of the writer's socket. */
const MODE = ["mode", "600"];

/**
 * Removes a user's own `stats socket` on a path of the writer's from the lines of `global`: HAProxy would
 * hand the writer's socket over to that line at the next reload, where it may lack the level or the listeners
 * that the writer needs. Returns the other lines, and that line's access settings.
 */
export function withoutOwnSockets(
  lines: readonly Line[],
  { socketFile, masterSocket }: Pick<HaproxyConfig, "socketFile" | "masterSocket">,
  tell: Tell,
): { readonly lines: readonly Line[]; readonly access: string } {
  let access = MODE;
  const kept = lines.filter(({ text, origin }) => {
    const [first, second, address = "", ...options] = words(text);
    if (first !== "stats" || second !== "socket") return true;
    const path = plainPath(address);
    if (path !== plainPath(socketFile) && (masterSocket === undefined || path !== plainPath(masterSocket))) return true;
    const said = options.flatMap((word, at) =>
      // `user` may also be a level.
      KEPT.has(word) && options[at - 1] !== "level" ? [word, options[at + 1] ?? ""] : []
    );
    const isSocketFile = path === plainPath(socketFile);
    if (isSocketFile && said.length > 0) access = said.includes("mode") ? said : [...MODE, ...said];
    const key = isSocketFile ? "socket_file" : "master_socket";
    const fate = isSocketFile && said.length > 0 ? `; ${said.join(" ")} is kept` : "";
    tell(`global: line ${JSON.stringify(text)} is skipped: ${key} already configures that socket${fate}`, origin);
    return false;
  });
  return { lines: kept, access: access.join(" ") };
}

/** A path, normalized so that two spellings of it are equal. */
function plainPath(address: string): string {
  const path = address.replace(/^unix@/, "");
  return path.startsWith("/") ? new URL(`file://${path.replaceAll(/\/+/g, "/")}`).pathname : path;
}
