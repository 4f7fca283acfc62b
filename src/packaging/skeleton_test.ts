import assert from "node:assert/strict";
import { collectSkeletons } from "./skeleton.ts";

const ROOT = new URL("../../", import.meta.url);
const FILE = new URL("src/skeleton/skeleton.json", ROOT);

Deno.test("skeleton.json matches the skeletons and the contract; UPDATE_GOLDEN=1 writes it", async () => {
  const text = `${JSON.stringify(await collectSkeletons(ROOT), null, 2)}\n`;
  if (Deno.env.get("UPDATE_GOLDEN") === "1") await Deno.writeTextFile(FILE, text);
  else assert.equal(await Deno.readTextFile(FILE), text);
});
