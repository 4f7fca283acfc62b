/**
 * Runs in a daemon of a test, before it: SIGUSR2 throws an error that nobody
 * catches, like one of the daemon's own.
 *
 * @module
 */
Deno.addSignalListener("SIGUSR2", () => void Promise.reject(new Error("a planted fault")));
