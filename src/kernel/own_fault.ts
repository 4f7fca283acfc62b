/**
 * Tells a fault of this host from a fault of the service that was asked: a
 * host without an open file, a local port or memory cannot ask, so it knows
 * nothing of the service.
 *
 * @module
 */

/** What this host lacks, by the code of the error that says so. */
const LACKS: ReadonlyMap<string, string> = new Map([
  ["EMFILE", "this process has no open file left (LimitNOFILE, ulimit -n)"],
  ["ENFILE", "this host has no open file left (fs.file-max)"],
  ["EADDRNOTAVAIL", "this host has no local address or port left (net.ipv4.ip_local_port_range)"],
  ["ENOBUFS", "this host has no network buffer left"],
  ["ENOMEM", "this host has no memory left"],
  ["EAGAIN", "this host has no process or thread left (LimitNPROC, TasksMax)"],
  ["EACCES", "this host denies the permission"],
  ["EPERM", "this host denies the permission"],
  ["ELIMIT", "the plugin keeps what it opens"],
  ["EAI_AGAIN", "the resolver of this host does not answer"],
  ["EAI_MEMORY", "this host has no memory left"],
  ["EAI_SYSTEM", "the resolver of this host fails"],
]);

/** Linux' numbers of the same, for errors whose code was lost on the way: `(os error 24)`. */
const CODES: ReadonlyMap<string, string> = new Map([
  ["1", "EPERM"],
  ["11", "EAGAIN"],
  ["12", "ENOMEM"],
  ["13", "EACCES"],
  ["23", "ENFILE"],
  ["24", "EMFILE"],
  ["99", "EADDRNOTAVAIL"],
  ["105", "ENOBUFS"],
]);

/** So many errors are looked at, each the cause of the one before. */
const CAUSES_MAX = 5;

/**
 * Says what this host lacks if that is why something failed; `undefined` if
 * the error may be the other side's fault. Never throws, though an error of a
 * plugin may throw at each look.
 *
 * @param error what was thrown by Deno, by a module of Node's, or for that cause
 */
export function ownFault(error: unknown): string | undefined {
  try {
    let at = error;
    for (let depth = 0; depth < CAUSES_MAX && at instanceof Error; depth++) {
      const lack = LACKS.get(codeOf(at));
      if (lack !== undefined) return `${lack}: ${at.message}`;
      at = at.cause;
    }
  } catch {
    // What cannot be read says nothing of this host.
  }
  return undefined;
}

function codeOf(error: Error): string {
  // What the sandbox denies is a fault of the plugin that reached for it, or of its grant.
  if (error.name === "NotCapable") return "";
  const { code } = error as { readonly code?: unknown };
  if (typeof code === "string" && code !== "") return code;
  if (/Temporary failure in name resolution/.test(error.message)) return "EAI_AGAIN";
  const [, number = ""] = /\(os error ([0-9]+)\)/.exec(error.message) ?? [];
  return CODES.get(number) ?? "";
}
