import { folderOf, resolveTrusted, UntrustedPathError } from "../system/trusted_file.ts";
import type { Finding } from "../kernel/findings.ts";
import type { Logging } from "./plan.ts";

/**
 * Finds log files that a process of this user could not open now; looks, and writes nothing. Only handlers
 * that a logger uses count.
 *
 * @param resolve makes a path of the file absolute
 */
export async function findUnusableFiles(
  { root, loggers, handlers }: Logging,
  resolve: (path: string) => string,
): Promise<readonly Finding[]> {
  const used = new Set([root, ...Object.values(loggers)].flatMap((logger) => logger.handlers));
  const found: Finding[] = [];
  for (const [name, { output }] of Object.entries(handlers)) {
    if (!used.has(name) || output.to !== "file") continue;
    const obstacle = await findObstacle(resolve(output.filename));
    if (obstacle !== undefined) found.push({ ...obstacle, path: ["handlers", name, "filename"], at: "value" });
  }
  return found;
}

async function findObstacle(path: string): Promise<Pick<Finding, "severity" | "message"> | undefined> {
  let real: string;
  try {
    real = await resolveTrusted(path);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return {
      severity: "warning",
      message: error instanceof UntrustedPathError ? message : `Cannot log to ${path}: ${message}`,
    };
  }
  const folder = folderOf(real);
  const [file, parent] = await Promise.all([stat(real), stat(folder)]);
  if (typeof file === "object" && file.isDirectory) {
    return { severity: "warning", message: `Cannot log to ${path}: is a directory` };
  }
  // It may exist by the time of the start, or on another host.
  if (parent === "missing") {
    return {
      severity: "notice",
      message: `Directory ${folder} does not exist: ${path} is written there; create the directory`,
    };
  }
  return undefined;
}

async function stat(path: string): Promise<Deno.FileInfo | "missing" | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? "missing" : undefined;
  }
}
