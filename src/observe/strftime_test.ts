import assert from "node:assert/strict";
import { strftime } from "./strftime.ts";
import { localTime, utcTime } from "./wall_time.ts";

/** The fifth of January 2024, a Friday, at 09:07:03. */
const FRIDAY = utcTime(Date.UTC(2024, 0, 5, 9, 7, 3, 250));

Deno.test.each([
  ["%Y-%m-%d %H:%M:%S", "2024-01-05 09:07:03"],
  ["%a %A %b %B %d %e", "Fri Friday Jan January 05  5"],
  ["%I:%M %p %P %l %k", "09:07 AM am  9  9"],
  ["%j %U %W %V %G %g %u %w", "005 00 01 01 2024 24 5 5"],
  [
    "%c | %x %X | %D %F %T %R %r",
    "Fri Jan  5 09:07:03 2024 | 01/05/24 09:07:03 | 01/05/24 2024-01-05 09:07:03 09:07 09:07:03 AM",
  ],
  ["%z %Z %s %y %C %%", "+0000 UTC 1704445623 24 20 %"],
  ["%-d %_d %^a %#p", "5  5 FRI am"],
  ["no directive, %Q, 100%", "no directive, %Q, 100%"],
])("strftime() writes %s as the C library does", (format, wanted) => {
  assert.equal(strftime(format, FRIDAY), wanted);
});

Deno.test.each([
  [Date.UTC(2020, 11, 31), "2020 53"],
  [Date.UTC(2021, 0, 3), "2020 53"],
  [Date.UTC(2021, 0, 4), "2021 01"],
  [Date.UTC(2024, 11, 30), "2025 01"],
  [Date.UTC(2023, 0, 1), "2022 52"],
])("strftime() knows the weeks of ISO 8601: %d", (timeMs, wanted) => {
  assert.equal(strftime("%G %V", utcTime(timeMs)), wanted);
});

Deno.test("localTime() shows what the machine's own clock does", () => {
  for (let day = 0; day < 400; day++) {
    const date = new Date(Date.UTC(2024, 0, 1, day % 24) + day * 86_400_000);
    const wall = localTime(date.getTime());
    assert.deepEqual(
      [wall.year, wall.month, wall.day, wall.hour, wall.minute, wall.weekday],
      [date.getFullYear(), date.getMonth() + 1, date.getDate(), date.getHours(), date.getMinutes(), date.getDay()],
    );
  }
});
