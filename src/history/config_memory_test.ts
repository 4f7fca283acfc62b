import assert from "node:assert/strict";
import { ConfigMemory, type ConfigText } from "./config_memory.ts";

Deno.test("in a config with many changed files only the listed ones are compared", () => {
  const compared = new Set<string>();
  const config = (line: string): ConfigText =>
    new Map(Array.from({ length: 300 }, (_, i) => {
      const name = `clusters/c${i}`;
      const shownLine = () => {
        compared.add(name);
        return line;
      };
      return [name, { file: `${name}.yaml`, text: `${line}\n`, shownLine }];
    }));
  const memory = new ConfigMemory();
  memory.begin(config("a: 1"));
  const changes = memory.take(config("a: 2"));
  assert.equal(changes.length, 50);
  assert.deepEqual(changes.map(({ diff }) => diff), Array(50).fill(["-a: 1", "+a: 2"]));
  assert.equal(compared.size, 50);
});
