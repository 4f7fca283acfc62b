/**
 * What a third-party plugin keeps of its realm.
 *
 * Permissions alone are not enough in Deno 2.9. Without any, a worker may
 * still end the whole process (`Deno.kill` of its own pid), write to its
 * standard output, read its input, talk to every other worker over a
 * `BroadcastChannel`, keep files in a `Cache`, start a GPU's driver, listen where it may connect; and run
 * code that nobody has parsed and whose hash nobody approved: from a string,
 * in a worker of its own, from Node's modules. Such code could import from
 * `npm:`, which takes no permission, leaves the machine, and, if the package is not in
 * the lock file, ends every worker that is started afterwards.
 *
 * @module
 */

import { boundOpen } from "./open_bound.ts";

/** What remains of `Deno`: whatever needs a permission, or neither reveals nor affects anything of the process. */
const DENO_NAMES: ReadonlySet<string> = new Set(
  `ChildProcess Command FsFile HttpClient Permissions PermissionStatus SeekMode build chmod chmodSync chown chownSync
  connect connectTls copyFile copyFileSync create createHttpClient createSync env errors hostname inspect link linkSync
  lstat lstatSync makeTempDir makeTempDirSync makeTempFile makeTempFileSync mkdir
  mkdirSync networkInterfaces open openSync permissions readDir readDirSync readFile readFileSync readLink readLinkSync
  readTextFile readTextFileSync realPath realPathSync remove removeSync rename renameSync resolveDns startTls stat
  statSync symlink symlinkSync truncate truncateSync utime utimeSync version watchFs writeFile writeFileSync
  writeTextFile writeTextFileSync`.split(/\s+/),
);

/** What remains of the global scope: the language, and the web's APIs for bytes, strings, time and connections. */
const GLOBAL_NAMES: ReadonlySet<string> = new Set(
  `AggregateError Array ArrayBuffer AsyncDisposableStack Atomics BigInt BigInt64Array BigUint64Array Boolean DataView
  Date DisposableStack Error EvalError FinalizationRegistry Float16Array Float32Array Float64Array Function Infinity
  Int16Array Int32Array Int8Array Intl Iterator JSON Map Math NaN Number Object Promise Proxy RangeError ReferenceError
  Reflect RegExp Set SharedArrayBuffer String SuppressedError Symbol SyntaxError Temporal TypeError URIError
  Uint16Array Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakRef WeakSet WebAssembly decodeURI decodeURIComponent
  encodeURI encodeURIComponent escape eval globalThis isFinite isNaN parseFloat parseInt undefined unescape

  AbortController AbortSignal Blob ByteLengthQueuingStrategy CloseEvent CompressionStream CountQueuingStrategy Crypto
  CryptoKey CustomEvent DOMException DecompressionStream Deno ErrorEvent Event EventTarget File FileReader FormData
  Headers MessageEvent Performance PerformanceEntry PerformanceMark PerformanceMeasure
  ProgressEvent PromiseRejectionEvent QuotaExceededError ReadableByteStreamController ReadableStream
  ReadableStreamBYOBReader ReadableStreamBYOBRequest ReadableStreamDefaultController ReadableStreamDefaultReader Request
  Response SubtleCrypto TextDecoder TextDecoderStream TextEncoder TextEncoderStream TransformStream
  TransformStreamDefaultController URL URLPattern URLSearchParams WebSocket WebSocketError WebSocketStream
  WritableStream WritableStreamDefaultController WritableStreamDefaultWriter addEventListener atob btoa clearInterval
  clearTimeout close console crypto dispatchEvent fetch name onerror onunhandledrejection performance
  queueMicrotask removeEventListener reportError self setInterval setTimeout structuredClone`.split(/\s+/),
);

/**
 * Properties that the realm's own code looks up when it dispatches an event: whoever could
 * change them would see the events of the worker's port, and with them the
 * port, or could hide from Deno that an error was handled.
 */
const PROTOTYPES: readonly object[] = [Event, ErrorEvent, MessageEvent, PromiseRejectionEvent, EventTarget].map((
  { prototype },
) => prototype);

export interface SealOptions {
  /** How many connections and files a plugin may have open at once. */
  readonly openMax: number;
}

/**
 * Removes everything not named above, and whatever makes code from strings. Call it before the
 * plugin's first line. Returns a counter of what the plugin has open.
 */
export function seal({ openMax }: SealOptions): { readonly countOpen: () => number | undefined } {
  const descriptors = Object.fromEntries(
    Object.entries(Object.getOwnPropertyDescriptors(Deno)).filter(([name]) => DENO_NAMES.has(name)),
  );
  const bounded = boundOpen(openMax);
  Object.defineProperty(globalThis, "Deno", {
    value: Object.defineProperties({}, { ...descriptors, ...bounded.deno }),
  });
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    const isFine = GLOBAL_NAMES.has(name) || Reflect.deleteProperty(globalThis, name);
    // Ends the worker: no plugin code may run with leftovers.
    if (!isFine) throw new Error(`Cannot remove ${name} from a plugin's globals`);
  }
  Object.defineProperties(globalThis, bounded.web);
  for (const prototype of PROTOTYPES) Object.freeze(prototype);
  const refuse: { (): never; prototype: unknown } = function (): never {
    throw new EvalError("Cannot evaluate a string as code in a plugin: all code must be in its modules");
  };
  // So that functions remain instances of Function.
  refuse.prototype = Function.prototype;
  const makers = [function () {}, async function () {}, function* () {}, async function* () {}];
  for (const maker of makers) {
    Object.defineProperty(Object.getPrototypeOf(maker), "constructor", { value: refuse });
  }
  for (const name of ["eval", "Function"]) Object.defineProperty(globalThis, name, { value: refuse });
  return bounded;
}
