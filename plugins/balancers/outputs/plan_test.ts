import assert from "node:assert/strict";
import type { Seen, Step } from "../../../mod.ts";
import { grouped, noteOf, type OutputFile, planOutputs, previousOf } from "./plan.ts";

const PATH = "/etc/app.conf";
const RELOAD = ["/bin/reload"];

type File = OutputFile & { readonly reload?: readonly string[] };

function file(more: Partial<File> = {}): File {
  return { path: PATH, timeoutMs: 30_000, rollback: false, ...more };
}

interface Case {
  readonly files?: readonly File[];
  readonly texts?: Readonly<Record<string, string>>;
  readonly seen?: Readonly<Record<string, string>>;
  readonly attributes?: Seen["attributes"];
  readonly clusters?: readonly string[];
  readonly unknown?: readonly string[];
  readonly mayReload?: boolean;
}

function plan(
  {
    files = [file()],
    texts = { [PATH]: "new\n" },
    seen = {},
    attributes,
    clusters = ["web"],
    unknown = [],
    mayReload = true,
  }: Case,
): readonly Step[] {
  return planOutputs(grouped(files), {
    rendered: { files: new Map(Object.entries(texts).map(([path, text]) => [path, { text }])), notices: [] },
    seen: { files: new Map(Object.entries(seen)), attributes },
    clusters,
    unknown: (name) => unknown.includes(name),
    mayReload,
  });
}

function shown(steps: readonly Step[]): readonly string[] {
  return steps.map((step) => step.do === "install" || step.do === "remove" ? `${step.do} ${step.path}` : step.do);
}

/** The state after a plan was carried out. */
function after(steps: readonly Step[], seen: Readonly<Record<string, string>> = {}): Record<string, string> {
  const installs = steps.flatMap((step) => step.do === "install" ? [[step.path, step.contents]] : []);
  return { ...seen, ...Object.fromEntries(installs) };
}

Deno.test("planOutputs() installs, reloads and records what was loaded, and then plans nothing", () => {
  const files = [file({ reload: RELOAD, check: ["/bin/check", "%"], mode: 0o600, owner: "root:adm" })];
  const steps = plan({ files });
  assert.deepEqual(shown(steps), [`install ${PATH}`, "notify", `install ${noteOf(PATH)}`]);
  const [install] = steps;
  assert(install?.do === "install");
  assert.deepEqual(
    [install.check, install.mode, install.setsMode, install.owner, install.checkDeadlineMs],
    [["/bin/check", "%"], 0o600, true, "root:adm", 30_000],
  );
  assert.deepEqual(plan({ files, seen: after(steps) }), []);
});

Deno.test("planOutputs() reloads a file that was installed and not loaded, also after a restart of the writer", () => {
  const files = [file({ reload: RELOAD })];
  const first = plan({ files, mayReload: false });
  assert.deepEqual(shown(first), [`install ${PATH}`]);
  const seen = after(first);
  assert.deepEqual(shown(plan({ files, seen })), ["notify", `install ${noteOf(PATH)}`]);
});

Deno.test("planOutputs() keeps the mode of a file whose config sets none, and corrects a wrong mode or owner", () => {
  const attributes = new Map([[PATH, { mode: 0o640, user: ["0", "root"], group: ["0", "root"] }]]);
  const seen = after(plan({}));
  const [changed] = plan({ seen, attributes, texts: { [PATH]: "other\n" } });
  assert(changed?.do === "install");
  assert.deepEqual([changed.mode, changed.setsMode], [0o640, undefined]);
  assert.deepEqual(shown(plan({ seen, attributes })), []);
  assert.deepEqual(shown(plan({ seen, attributes, files: [file({ mode: 0o644 })] })), [`install ${PATH}`]);
  assert.deepEqual(shown(plan({ seen, attributes, files: [file({ owner: "root" })] })), []);
  assert.deepEqual(shown(plan({ seen, attributes, files: [file({ owner: "0:0" })] })), []);
  assert.deepEqual(shown(plan({ seen, attributes, files: [file({ owner: "root:adm" })] })), [`install ${PATH}`]);
});

Deno.test("planOutputs() keeps the previous version that was loaded, and restores it after a failed reload", () => {
  const files = [file({ reload: RELOAD, rollback: true })];
  const texts = (text: string) => ({ [PATH]: text });
  const first = plan({ files, texts: texts("one\n") });
  assert.deepEqual(
    shown(first),
    [`install ${PATH}`, "notify", `install ${noteOf(PATH)}`],
    "there is none before the first",
  );
  const one = after(first);
  const second = plan({ files, texts: texts("two\n"), seen: one });
  assert.deepEqual(shown(second), [
    `install ${previousOf(PATH)}`,
    `install ${PATH}`,
    "notify",
    `install ${noteOf(PATH)}`,
  ]);
  const notify = second.find((step) => step.do === "notify");
  assert.deepEqual(notify?.rollback?.map(({ path, contents }) => [path, contents]), [[PATH, "one\n"]]);
  // Two was installed, and could not be loaded.
  const failed = { ...one, [PATH]: "two\n", [previousOf(PATH)]: "one\n" };
  const third = plan({ files, texts: texts("three\n"), seen: failed });
  assert.deepEqual(
    shown(third),
    [`install ${PATH}`, "notify", `install ${noteOf(PATH)}`],
    "two is no version to go back to",
  );
  const again = third.find((step) => step.do === "notify");
  assert.deepEqual(again?.rollback?.map(({ contents }) => contents), ["one\n"]);
});

Deno.test("planOutputs() runs a command once for the files that share it, and not at all if one cannot be rendered", () => {
  const other = "/etc/other.conf";
  const files = [file({ reload: RELOAD }), file({ path: other, reload: RELOAD }), file({ path: "/etc/alone" })];
  const texts = { [PATH]: "a\n", [other]: "b\n", "/etc/alone": "c\n" };
  const steps = plan({ files, texts });
  assert.equal(steps.filter((step) => step.do === "notify").length, 1);
  assert.equal(new Set(steps.map((step) => "output" in step ? step.output : undefined)).size, 2);
  const { [other]: _, ...partly } = texts;
  assert.deepEqual(shown(plan({ files, texts: partly })), ["install /etc/alone", `install ${noteOf("/etc/alone")}`]);
});

Deno.test("planOutputs() keeps the previous version of all files that are loaded together, also of unchanged ones", () => {
  const other = "/etc/other.conf";
  const files = [PATH, other].map((path) => file({ path, reload: RELOAD, rollback: true }));
  const texts = (one: string, two: string) => ({ [PATH]: one, [other]: two });
  let seen = after(plan({ files, texts: texts("a1", "b1") }));
  seen = after(plan({ files, texts: texts("a2", "b2"), seen }), seen);
  const third = plan({ files, texts: texts("a3", "b2"), seen });
  // It could not be loaded, so nothing was recorded.
  const failed = after(third.filter((step) => step.do !== "install" || !step.path.endsWith(".lighthouse")), seen);
  const notify = plan({ files, texts: texts("a4", "b4"), seen: failed }).find((step) => step.do === "notify");
  assert.deepEqual(notify?.rollback?.map(({ contents }) => contents), ["a2", "b2"]);
});

Deno.test("planOutputs() leaves a file alone while the config of a cluster that it was made of is invalid", () => {
  const seen = after(plan({ clusters: ["api", "web"] }));
  assert.deepEqual(plan({ seen, clusters: ["web"], unknown: ["api"], texts: { [PATH]: "without\n" } }), []);
  assert.notDeepEqual(plan({ seen, clusters: ["web"], unknown: ["new"], texts: { [PATH]: "without\n" } }), []);
});
