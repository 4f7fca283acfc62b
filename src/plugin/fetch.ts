import { formatDuration } from "../kernel/duration.ts";
import { quote } from "../kernel/quote.ts";
import { hasModuleEnding, MODULE_BYTES_MAX, PluginFault } from "./graph.ts";

/** How long a module may take to arrive. */
const FETCH_DEADLINE_MS = 10_000;
/** Maximum number of redirects of a plugin's URL. */
const REDIRECTS_MAX = 5;

/** Thrown when a module cannot be fetched, whatever its contents. */
export class FetchFault extends PluginFault {
  override name = "FetchFault";
}

/** A fetched module. */
export interface FetchedModule {
  /** Its text, with a byte order mark if it has one. */
  readonly text: string;
  /** Its final URL. */
  readonly url: URL;
}

/**
 * Reads a module from an `https:`, `http:` or `file:` URL. `mayRedirect` is only for a plugin's entry,
 * and only within one origin. Throws a {@linkcode FetchFault} with the reason, or the signal's reason.
 */
export async function fetchModule(
  url: URL,
  { signal, mayRedirect }: { readonly signal: AbortSignal; readonly mayRedirect: boolean },
): Promise<FetchedModule> {
  signal.throwIfAborted();
  const at = url.protocol === "file:" ? await readFile(url) : await request(url, { signal, mayRedirect });
  if (!hasModuleEnding(at.url.pathname)) {
    throw cannot(at.url, "the file name must end in .ts, .mts, .js or .mjs");
  }
  try {
    // The byte order mark is kept: every byte counts for the hash.
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(at.bytes), url: at.url };
  } catch {
    throw cannot(at.url, "not valid UTF-8");
  }
}

interface Bytes {
  readonly bytes: Uint8Array;
  readonly url: URL;
}

async function readFile(url: URL): Promise<Bytes> {
  try {
    const { isFile, size } = await Deno.stat(url);
    // Opening a pipe would block until somebody writes to it.
    if (!isFile) throw cannot(url, "not a regular file");
    if (size > MODULE_BYTES_MAX) throw tooLarge(url);
    const bytes = await Deno.readFile(url);
    if (bytes.length > MODULE_BYTES_MAX) throw tooLarge(url);
    return { bytes, url };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw cannot(url, "no such file");
    if (error instanceof Deno.errors.PermissionDenied) throw cannot(url, "permission denied");
    if (error instanceof PluginFault) throw error;
    throw cannot(url, reasonOf(error));
  }
}

async function request(
  first: URL,
  { signal, mayRedirect }: { readonly signal: AbortSignal; readonly mayRedirect: boolean },
): Promise<Bytes> {
  const deadline = AbortSignal.timeout(FETCH_DEADLINE_MS);
  const either = AbortSignal.any([signal, deadline]);
  let url = first;
  try {
    for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects++) {
      const response = await fetch(url, { redirect: "manual", signal: either });
      const location = response.headers.get("location");
      if (response.status < 300 || response.status >= 400 || location === null) {
        return { bytes: await read(response, url), url };
      }
      await response.body?.cancel();
      const next = URL.parse(location, url);
      if (next === null) throw cannot(url, `redirected to ${quote(location)}, which is not a URL`);
      if (!mayRedirect) throw cannot(url, `redirected to ${next.href}; only the plugin's own URL may redirect`);
      if (next.origin !== first.origin) {
        throw cannot(url, `redirected to another origin, ${next.href}; if that origin is trusted, use its URL`);
      }
      url = next;
    }
    throw cannot(first, `more than ${REDIRECTS_MAX} redirects`);
  } catch (error) {
    if (error instanceof PluginFault) throw error;
    signal.throwIfAborted();
    if (deadline.aborted) throw cannot(url, `not received within ${formatDuration(FETCH_DEADLINE_MS)}`);
    throw cannot(url, reasonOf(error));
  }
}

/** The first cause of an error: that the fetch failed is known. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : reasonOf(error.cause);
}

async function read(response: Response, url: URL): Promise<Uint8Array> {
  const type = response.headers.get("content-type")?.split(";")[0]?.trim() ?? "";
  const fault = !response.ok
    ? cannot(url, `HTTP status ${response.status}`)
    : type === "text/html"
    ? cannot(url, "the server returned a web page (text/html)")
    : undefined;
  if (fault !== undefined) {
    await response.body?.cancel();
    throw fault;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    // Leaving the loop cancels the rest.
    if (length > MODULE_BYTES_MAX) throw tooLarge(url);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function tooLarge(url: URL): FetchFault {
  return cannot(url, `larger than ${MODULE_BYTES_MAX} bytes`);
}

function cannot(url: URL, reason: string): FetchFault {
  return new FetchFault(`Cannot read ${url.protocol === "file:" ? decodeURI(url.pathname) : url.href}: ${reason}`);
}
