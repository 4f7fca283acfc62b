import assert from "node:assert/strict";
import { LOCAL, strftime, unknownDirectives, UTC } from "./wall_time.ts";

/** The fifth of January 2024, a Friday, at 09:07:03. */
const FRIDAY = Date.UTC(2024, 0, 5, 9, 7, 3, 250);

Deno.test.each([
  ["%Y-%m-%d %H:%M:%S", "2024-01-05 09:07:03"],
  ["%FT%T%z", "2024-01-05T09:07:03+0000"],
  ["%a %A %b %B %d", "Fri Friday Jan January 05"],
  ["%I:%M %p", "09:07 AM"],
  ["%j %y %%", "%j 24 %"],
  ["no directive, %Q, 100%", "no directive, %Q, 100%"],
])("strftime() formats %s like the C library", (format, wanted) => {
  assert.equal(strftime(format, FRIDAY, UTC), wanted);
});

Deno.test("unknownDirectives() names the directives that are left unchanged", () => {
  assert.deepEqual(unknownDirectives("%Y %c %%c %-d"), ["%c", "%-"]);
});

Deno.test("strftime() formats the machine's local time", () => {
  for (let day = 0; day < 400; day++) {
    const local = new Date(Date.UTC(2024, 0, 1, day % 24) + day * 86_400_000);
    assert.deepEqual(strftime("%Y %m %d %H %M", local.getTime(), LOCAL).split(" ").map(Number), [
      local.getFullYear(),
      local.getMonth() + 1,
      local.getDate(),
      local.getHours(),
      local.getMinutes(),
    ]);
  }
});

Deno.test("strftime() writes the offset of a zone", () => {
  assert.equal(strftime("%H:%M%z", FRIDAY, () => -90), "07:37-0130");
  assert.equal(strftime("%H:%M%z", FRIDAY, () => 345), "14:52+0545");
});
