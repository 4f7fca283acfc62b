import { eventually } from "./eventually.ts";

/** Replaces what is at a path by a copy of a directory, with its owners and times; both may be written to meanwhile. */
export async function replaceDirectory(from: string, to: string): Promise<void> {
  const copy = `${to}.copy`;
  // A file that is renamed during the copy is missing in it.
  await eventually(`${from} is copied`, async () => {
    await remove(copy);
    return (await new Deno.Command("cp", { args: ["-a", from, copy], stderr: "null" }).output()).success;
  });
  // A process that writes to a missing directory makes it again.
  await eventually(`${to} is replaced`, async () => {
    await remove(to);
    await Deno.rename(copy, to);
    return true;
  });
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
