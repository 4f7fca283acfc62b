/**
 * Counts the threads of workers that this process has, by what the kernel says
 * rather than by what was asked of them: `terminate()` does not stop a busy
 * loop. Deno names them `worker-1`, `worker-2`…; `undefined` where there is no
 * /proc to ask.
 */
export function countWorkerThreads(): number | undefined {
  try {
    let count = 0;
    for (const { name } of Deno.readDirSync("/proc/self/task")) {
      try {
        if (/^worker-[0-9]+\s*$/.test(Deno.readTextFileSync(`/proc/self/task/${name}/comm`))) count++;
      } catch {
        // The thread ended between the listing and the look.
      }
    }
    return count;
  } catch {
    return undefined;
  }
}
