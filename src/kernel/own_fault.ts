/**
 * Distinguishes faults of this host from faults of the probed service: a
 * host without open files, local ports or memory cannot probe, and learns
 * nothing about the service.
 *
 * @module
 */

/** The missing resource, by error code. */
const LACKS: ReadonlyMap<string, string> = new Map([
  ["EMFILE", "this process is out of file descriptors (LimitNOFILE, ulimit -n)"],
  ["ENFILE", "this host is out of file descriptors (fs.file-max)"],
  ["EADDRNOTAVAIL", "this host is out of local addresses or ports (net.ipv4.ip_local_port_range)"],
  ["ENOBUFS", "this host is out of network buffers"],
  ["ENOMEM", "this host is out of memory"],
  ["EAGAIN", "this host is out of processes or threads (LimitNPROC, TasksMax)"],
  ["EACCES", "permission denied on this host"],
  ["EPERM", "permission denied on this host"],
  ["ELIMIT", "the plugin has too many open connections or files"],
  ["EAI_AGAIN", "this host's resolver does not respond"],
  ["EAI_MEMORY", "this host is out of memory"],
  ["EAI_SYSTEM", "this host's resolver failed"],
]);

/** Linux's error numbers of the same, for errors without a code: `(os error 24)`. */
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

/** Maximum length of a chain of causes. */
const CAUSES_MAX = 5;

/**
 * Returns which resource this host lacks if that is the reason of an error; `undefined` if the other
 * side may be at fault. Never throws, though a plugin's error may throw on every access.
 *
 * @param error thrown by Deno, by a module of Node's, or with such a cause
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
    // An unreadable error says nothing about this host.
  }
  return undefined;
}

function codeOf(error: Error): string {
  // A denial of the sandbox is a fault of the plugin, or of its grants.
  if (error.name === "NotCapable") return "";
  const { code } = error as { readonly code?: unknown };
  if (typeof code === "string" && code !== "") return code;
  if (/Temporary failure in name resolution/.test(error.message)) return "EAI_AGAIN";
  const [, number = ""] = /\(os error ([0-9]+)\)/.exec(error.message) ?? [];
  return CODES.get(number) ?? "";
}
