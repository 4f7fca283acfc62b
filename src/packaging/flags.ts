import config from "../../deno.json" with { type: "json" };

/** The flags that Lighthouse runs with, those of the task `lighthouse`: one list for every way to start it. */
export const RUN_FLAGS: readonly string[] = config.tasks.lighthouse.command.split(" ").slice(2, -1);
