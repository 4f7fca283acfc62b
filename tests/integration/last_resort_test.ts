import assert from "node:assert/strict";

/** Runs a program that ends with 70 once the last resort has received an error, and with 0 otherwise. */
async function run(code: string): Promise<{ readonly code: number; readonly output: string }> {
  const module = new URL("../../src/cli/last_resort.ts", import.meta.url).href;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(`
    import { LastResort } from "${module}";
    using _last = new LastResort((reason) => { console.log(reason); setTimeout(() => Deno.exit(70), 10); });
    ${code}
    await new Promise((resolve) => setTimeout(resolve, 500));`));
  await writer.close();
  const { code: exitCode, stdout } = await child.output();
  return { code: exitCode, output: new TextDecoder().decode(stdout) };
}

Deno.test.each([
  {
    what: "a promise that nobody awaits",
    code: `Promise.reject(new Error("lost in thought"));`,
    says: /lost in thought/,
  },
  {
    what: "a timer",
    code: `setTimeout(() => { throw new TypeError("out of time"); }, 1);`,
    says: /TypeError: out of time/,
  },
])("LastResort receives an error in $what, and the process may end in order", async ({ code, says }) => {
  const ended = await run(code);
  assert.equal(ended.code, 70, ended.output);
  assert.match(ended.output, says);
});

Deno.test("LastResort is silent without errors", async () => {
  assert.deepEqual(await run(""), { code: 0, output: "" });
});
