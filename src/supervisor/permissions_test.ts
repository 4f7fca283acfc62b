import assert from "node:assert/strict";
import fc from "fast-check";
import { joinPermissions, toDenoPermissions } from "./permissions.ts";

const NOTHING = { net: [], read: [], write: [], env: [], run: [], sys: false, ffi: false, import: false };

Deno.test("toDenoPermissions() denies every kind not named", () => assert.deepEqual(toDenoPermissions({}), NOTHING));

Deno.test("toDenoPermissions() keeps each list", () => {
  const granted = { net: ["a:80"], read: ["/r"], write: ["/w"], env: ["HOME"], run: ["/bin/x"] };
  assert.deepEqual(toDenoPermissions(granted), { ...NOTHING, ...granted });
});

Deno.test("toDenoPermissions() adds read and write permission for the path of a Unix socket", () => {
  assert.deepEqual(toDenoPermissions({ net: ["a:80", "unix:/run/x.sock"], read: ["/r"] }), {
    ...NOTHING,
    net: ["a:80", "unix:/run/x.sock"],
    read: ["/r", "/run/x.sock"],
    write: ["/run/x.sock"],
  });
});

Deno.test("toDenoPermissions() drops kinds that cannot be granted", () => {
  const sly = { ffi: ["/x"], sys: ["hostname"], import: ["evil.int"] } as unknown as { net: string[] };
  assert.deepEqual(toDenoPermissions(sly), NOTHING);
});

Deno.test("joinPermissions() joins, sorts and removes duplicates", () => {
  assert.deepEqual(joinPermissions([]), {});
  assert.deepEqual(joinPermissions([{ net: [] }, {}]), {});
  assert.deepEqual(joinPermissions([{ net: ["b:1", "a:1"] }, { net: ["a:1"], read: ["/r"] }]), {
    net: ["a:1", "b:1"],
    read: ["/r"],
  });
});

Deno.test("joinPermissions() is the union in any order", () => {
  const list = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 4 });
  const request = fc.record({ net: list, read: list, write: list, env: list, run: list }, { requiredKeys: [] });
  fc.assert(fc.property(fc.array(request, { maxLength: 5 }), (requests) => {
    const joined = joinPermissions(requests);
    for (const kind of ["net", "read", "write", "env", "run"] as const) {
      const all = requests.flatMap((request) => request[kind] ?? []);
      assert.deepEqual(joined[kind] ?? [], [...new Set(all)].toSorted());
    }
    assert.deepEqual(joinPermissions(requests.toReversed()), joined);
    assert.deepEqual(joinPermissions([joined]), joined);
  }));
});
