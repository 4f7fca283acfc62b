import config from "../../deno.json" with { type: "json" };

/** What Lighthouse itself is run with, as the task `lighthouse` says it: one list for every way of starting it. */
export const RUN_FLAGS: readonly string[] = config.tasks.lighthouse.command.split(" ").slice(2, -1);
