/** What a storm of 4,000 changes in 4 s costs, and the change of another cluster meanwhile: the test of it prints that. */
export async function storm(): Promise<void> {
  const test = new URL("../integration/storm_test.ts", import.meta.url).pathname;
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--no-check", "--no-prompt", "-A", test],
    env: { NO_COLOR: "1" },
    stderr: "inherit",
  }).output();
  const output = new TextDecoder().decode(stdout);
  if (!success) throw new Error(`The storm failed: ${output}`);
  const figures = output.split("\n").find((line) => /^[0-9]+ changes in /.test(line));
  // deno-lint-ignore no-console -- the report is this program's purpose.
  console.log(`\nA storm in one of two clusters\n  ${figures}`);
}
