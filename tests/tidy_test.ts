import assert from "node:assert/strict";
import { importFault, isTest, layerOf, LAYERS, resolvePath } from "./layers.ts";
import plugin from "./lint_plugin.ts";
import { isVoiceChecked, proseOf, UNFINISHED, voiceFaults } from "./voice.ts";
import { LONG_FILES, longestFirst, readJunit, slowest, STEPS } from "./run.ts";

/** The tasks that README, CI and operators count on. */
const TASKS = [
  "bench",
  "compile",
  "demo",
  "example",
  "fuzz",
  "lighthouse",
  "man",
  "ok",
  "pack",
  "reporter",
  "run",
  "soak",
  "store",
  "test",
  "test:haproxy",
  "test:packages",
  "test:short",
  "test:sim",
  "test:unit",
  "writer",
];

/** Folders that are not the project's own text. */
const FOREIGN = new Set([".git", "node_modules", "dist", "coverage", ".lighthouse"]);

const ROOT = new URL("../", import.meta.url);

/** Every file of the project, as a path from its root. */
const files = [...walk("")].sort();
const sources = files.filter((path) => path.endsWith(".ts"));
const documents = files.filter((path) => path.endsWith(".md"));

function* walk(folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(new URL(folder === "" ? "." : folder, ROOT))) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory && !FOREIGN.has(entry.name)) yield* walk(`${path}/`);
    else if (entry.isFile && !/^junit.*\.xml$/.test(path)) yield path;
  }
}

function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

function exists(path: string): boolean {
  return files.includes(path) || files.some((file) => file.startsWith(path.endsWith("/") ? path : `${path}/`));
}

const config = JSON.parse(read("deno.json"));
const pinned = /^deno (\S+)$/m.exec(read(".tool-versions"))?.[1];

/** The imports of a module, relative ones resolved to paths from the root. */
function importsOf(
  path: string,
): { readonly specifier: string; readonly typesOnly: boolean; readonly isDynamic: boolean }[] {
  // The lint plugin checks each import with a parser; this reading of lines is for the graph alone.
  const pattern = /^(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?"([^"]+)";?|\bimport\(\s*"([^"]+)"/gm;
  return [...read(path).matchAll(pattern)].map(([, type, fixed, dynamic]) => ({
    specifier: fixed ?? dynamic ?? "",
    typesOnly: type !== undefined,
    isDynamic: dynamic !== undefined,
  }));
}

/** The packages that are loaded with a module; what it imports dynamically comes later, if at all. */
function packagesLoadedWith(entry: string, seen: Set<string> = new Set([entry])): ReadonlySet<string> {
  const packages = new Set<string>();
  for (const path of seen) {
    for (const { specifier, typesOnly, isDynamic } of importsOf(path)) {
      if (typesOnly || isDynamic) continue;
      if (!specifier.startsWith(".")) packages.add(specifier);
      else if (/\.ts$/.test(specifier)) seen.add(resolvePath(path, specifier));
    }
  }
  return packages;
}

Deno.test("every source file belongs to a layer", () => {
  const homeless = sources.filter((path) => /^(?:mod\.ts|src|workers|plugins|examples\/plugins)\b/.test(path))
    .filter((path) => layerOf(path) === undefined);
  assert.deepEqual(homeless, []);
});

Deno.test("every layer that a layer may import exists", () => {
  const names = new Set(LAYERS.map((layer) => layer.name));
  assert.equal(names.size, LAYERS.length, "layers have names of their own");
  for (const layer of LAYERS) {
    for (const name of [...layer.imports, ...layer.types ?? []]) assert.ok(names.has(name), `${layer.name}: ${name}`);
  }
});

/** The room of a file: a folder of `src` or `plugins`, else the first part of its path. */
function roomOf(path: string): string {
  const [first = "", second = "", third] = path.split("/");
  if (first === "plugins") return `${first}/${second}`;
  return first === "src" && third !== undefined ? second : first === "src" ? second.replace(/\.ts$/, "") : first;
}

/** Which rooms each room imports, types too. */
function roomImports(): ReadonlyMap<string, ReadonlySet<string>> {
  const rooms = new Map<string, Set<string>>();
  for (const path of sources.filter((each) => /^(?:mod\.ts|src\/|workers\/|plugins\/)/.test(each) && !isTest(each))) {
    const own = roomOf(path);
    const imports = rooms.get(own) ?? new Set();
    rooms.set(own, imports);
    for (const { specifier } of importsOf(path)) {
      if (!/^\.\.?\//.test(specifier) || !specifier.endsWith(".ts")) continue;
      const other = roomOf(resolvePath(path, specifier));
      if (other !== own) imports.add(other);
    }
  }
  return rooms;
}

/** Above how many others a room stands: each room is above all that it imports. */
function floorsOf(rooms: ReadonlyMap<string, ReadonlySet<string>>): ReadonlyMap<string, number> {
  const floors = new Map<string, number>();
  const floorOf = (room: string, trail: readonly string[]): number => {
    if (trail.includes(room)) assert.fail(`Rooms import one another: ${[...trail, room].join(" -> ")}`);
    const known = floors.get(room);
    if (known !== undefined) return known;
    const floor = 1 + Math.max(0, ...[...rooms.get(room) ?? []].map((each) => floorOf(each, [...trail, room])));
    floors.set(room, floor);
    return floor;
  };
  for (const room of rooms.keys()) floorOf(room, []);
  return floors;
}

Deno.test("rooms import downwards only, over at most nine floors and the door", () => {
  const floors = floorsOf(roomImports());
  floors.forEach((floor, room) => assert.ok(floor <= (room === "main" ? 10 : 9), `${room} is on floor ${floor}`));
});

Deno.test("the table of rooms in docs/architecture.md is what the imports say", () => {
  const rooms = roomImports();
  const floors = floorsOf(rooms);
  const table = [...read("docs/architecture.md").matchAll(/^\| (\d+) \| `([^`]+)` \| [^|]+ \| ([^|]*) \|$/gm)]
    .map(([, floor, room = "", imports = ""]) => ({
      floor: Number(floor),
      room: room.replace(/^src\//, "").replace(/\.ts$/, ""),
      imports: [...imports.matchAll(/[\w/.]+/g)].map(([name]) => name.replace(/\.ts$/, "")).toSorted(),
    }));
  const actual = [...rooms].map(([room, imports]) => ({
    floor: floors.get(room) ?? 0,
    room: room.replace(/\.ts$/, ""),
    imports: [...imports].map((name) => name.replace(/\.ts$/, "")).toSorted(),
  }));
  const byRoom = (a: { readonly room: string }, b: { readonly room: string }) => a.room < b.room ? -1 : 1;
  assert.deepEqual(table.toSorted(byRoom), actual.toSorted(byRoom));
});

Deno.test("modules have no cyclic imports", () => {
  const edges = new Map(sources.map((path) => [
    path,
    importsOf(path)
      .filter(({ specifier, typesOnly }) => !typesOnly && /^\.\.?\//.test(specifier))
      .map(({ specifier }) => resolvePath(path, specifier)),
  ]));
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) assert.fail(`Cyclic imports: ${[...trail, path].join(" -> ")}`);
    if (done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of sources) visit(path, []);
});

Deno.test("a daemon loads for its start what it needs then, and no more", () => {
  const heavy = /^(?:@optique\/.*|acorn|amaro|node:https?|node:http2)$/;
  for (const entry of ["src/main.ts", "plugins/balancers/haproxy/mod.ts"]) {
    assert.deepEqual([...packagesLoadedWith(entry)].filter((name) => heavy.test(name)), [], entry);
  }
});

Deno.test("the host loads of what ships only what describes it: no client of a registry, no package but the validator", () => {
  const described = sources.filter((path) => /^plugins\/(?:checks|discovery)\/[a-z]+\/(?:mod|config)\.ts$/.test(path));
  assert.ok(described.length >= 24, `${described.length}`);
  for (const path of described) {
    assert.deepEqual([...packagesLoadedWith(path)].filter((name) => name !== "valibot"), [], path);
  }
});

Deno.test.each([
  { from: "src/kernel/backoff.ts", to: "../model/node.ts", types: false, fault: /kernel may not import model/ },
  {
    from: "src/reporter/verdict.ts",
    to: "../membership/topology.ts",
    types: true,
    fault: /reporter.decide may not import/,
  },
  { from: "src/plugin/contract.ts", to: "../model/node.ts", types: false, fault: /types alone/ },
  { from: "plugins/checks/tcp/mod.ts", to: "../../../src/app/app.ts", types: false, fault: /may not import app/ },
  { from: "plugins/checks/tcp/mod.ts", to: "valibot", types: false, fault: /may not import the package valibot/ },
  { from: "src/model/node.ts", to: "node:fs", types: false, fault: /model is pure/ },
  { from: "src/app/app.ts", to: "../../tests/support/temp_dir.ts", types: false, fault: /only tests import tests/ },
])("importFault() rejects $to in $from", ({ from, to, types, fault }) => {
  assert.match(importFault(from, to, types) ?? "", fault);
});

Deno.test("importFault() lets pass what the table allows", () => {
  assert.equal(importFault("src/kernel/delay.ts", "./clock.ts", true), undefined);
  assert.equal(importFault("src/plugin/contract.ts", "../model/node.ts", true), undefined);
  assert.equal(importFault("src/kernel/schema.ts", "valibot", false), undefined);
  assert.equal(importFault("src/reporter/verdict_test.ts", "../membership/topology.ts", false), undefined);
});

Deno.test("the lint plugin reports what a pure file reaches for, and no mere name", () => {
  const report = (source: string) =>
    Deno.lint.runPlugin(plugin, new URL("src/model/sample.ts", ROOT).pathname, source).map(({ message }) => message);
  for (
    const line of [
      "export const x = Deno.pid;",
      "export const x = new Date();",
      "export const x = Math.random();",
      "export function f() { setTimeout(() => {}, 1); }",
      "export const x = { console };",
      "export const x = AbortSignal.timeout(5);",
    ]
  ) assert.match(report(line).join(), /model is pure: it may not use/, line);
  assert.match(report('export { x } from "../app/app.ts";').join(), /model may not import app/);
  assert.match(report('const x = await import("../app/app.ts");').join(), /model may not import app/);
  assert.deepEqual(report('export const x = { Date: 1, y: "Deno" }; export type T = Date; x.Date;'), []);
});

Deno.test("no file bears a name that says nothing", () => {
  const empty = sources.filter((path) => /(?:^|[\/_])(?:utils?|helpers?|misc|common|manager|stuff)[\/_.]/.test(path));
  assert.deepEqual(empty, []);
});

Deno.test("every exported symbol says what it is", () => {
  const silent = sources.filter((path) => !isTest(path)).flatMap((path) => {
    const lines = read(path).split("\n");
    const documented = new Map<string, boolean>();
    for (const [i, line] of lines.entries()) {
      const symbol = /^export (?:abstract |async )?(?:class|const|function\*?|interface|let|type) (\w+)/.exec(line)
        ?.[1];
      if (symbol === undefined) continue;
      // A comment for the linter may stand between; of overloads, the first has the comment.
      const above = lines.slice(0, i).findLast((each) => !each.startsWith("// deno-lint-ignore"));
      documented.set(symbol, documented.get(symbol) === true || (above?.endsWith("*/") ?? false));
    }
    // A type that is called after what takes it need not say so again: its keys are documented.
    const isPlain = (symbol: string) => symbol.endsWith("Options");
    return [...documented].filter(([symbol, said]) => !said && !isPlain(symbol)).map(([symbol]) =>
      `${path}: ${symbol}`
    );
  });
  assert.deepEqual(silent, []);
});

Deno.test("files are named in snake case", () => {
  const odd = sources.filter((path) => !/^[a-z0-9_/.]+\.ts$/.test(path));
  assert.deepEqual(odd, []);
});

Deno.test("each decision has a number of its own, which its file and its title share", () => {
  const pages = documents.filter((path) => path.startsWith("docs/decisions/"));
  const numbers = pages.map((path) => /^docs\/decisions\/(\d{4})-[a-z0-9-]+\.md$/.exec(path)?.[1] ?? path);
  assert.deepEqual(numbers.filter((number, i) => numbers.indexOf(number) !== i), [], "two decisions share a number");
  assert.deepEqual(pages.filter((path, i) => !read(path).startsWith(`# ${numbers[i]}: `)), []);
});

Deno.test("no file speaks of the machine it was written on", () => {
  const machine = new RegExp(["/ro" + "ot/", "/ho" + "me/[a-z]", "/wo" + "rk/", "/Us" + "ers/"].join("|"));
  const leaks = files.filter((path) => !path.endsWith(".lock")).flatMap((path) =>
    read(path).split("\n").flatMap((line, i) => machine.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])
  );
  assert.deepEqual(leaks, []);
});

Deno.test("no test is switched off and nothing is left for later", () => {
  const marks = new RegExp(
    ["TO" + "DO", "FIX" + "ME", "XX" + "X\\b", "ignore: " + "true", "test\\.ign" + "ore"].join("|"),
  );
  const left = sources.flatMap((path) =>
    read(path).split("\n").flatMap((line, i) => marks.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])
  );
  assert.deepEqual(left, []);
});

Deno.test("every test file is run by exactly one step", () => {
  const steps = STEPS.filter((step) => step.tests !== undefined);
  const astray = sources.filter((path) => path.endsWith("_test.ts"))
    .map((path) => ({
      path,
      by: steps.filter((step) => step.tests?.some((at) => path === at || path.startsWith(`${at}/`))).map((s) => s.name),
    }))
    .filter(({ by }) => by.length !== 1);
  assert.deepEqual(astray, []);
});

Deno.test("long test files exist, and start first", () => {
  assert.deepEqual(LONG_FILES.filter((path) => !sources.includes(path)), []);
  const [first = "", second = ""] = LONG_FILES;
  assert.deepEqual(longestFirst(["a_test.ts", second, "b_test.ts", first]), [first, second, "a_test.ts", "b_test.ts"]);
});

Deno.test("every file names only the pinned version of Deno", () => {
  assert.equal(Deno.version.deno, pinned);
  const others = [...documents, ".ci/run", ...sources, "deno.json"].filter(exists).flatMap((path) =>
    [...read(path).matchAll(/\bdeno@(\d+\.\d+\.\d+)/g)].filter(([, version]) => version !== pinned)
      .map(([text]) => `${path}: ${text}`)
  );
  assert.deepEqual(others, []);
});

Deno.test("deno.json has the tasks that are promised, each described", () => {
  assert.deepEqual(Object.keys(config.tasks).sort(), TASKS);
  for (const [name, task] of Object.entries<{ description?: string }>(config.tasks)) {
    assert.ok(task.description, `${name} has no description`);
  }
});

Deno.test("every task that a document speaks of exists", () => {
  const missing = documents.flatMap((path) =>
    [...read(path).matchAll(/\bdeno(?:@\S+)? task ([a-z][a-z:]*)/g)].filter(([, task = ""]) => !TASKS.includes(task))
      .map(([text]) => `${path}: ${text}`)
  );
  assert.deepEqual(missing, []);
});

Deno.test("the README's test command is what CI runs", () => {
  assert.match(read("README.md"), new RegExp(`^npx -y deno@${RegExp.escape(String(pinned))} task test$`, "m"));
  assert.match(read(".ci/run"), /npx -y "deno@\$\{version\b.*\}" task test /);
});

Deno.test("the image is built with the pinned Deno", () => {
  assert.match(
    read("examples/docker/Dockerfile"),
    new RegExp(`^FROM denoland/deno:${RegExp.escape(String(pinned))} `, "m"),
  );
});

Deno.test("the image is built of the source alone: no history, and nothing that this machine built before", () => {
  const left = read(".dockerignore").split("\n");
  for (const folder of [".git", "dist", "node_modules"]) assert.ok(left.includes(folder), folder);
  assert.match(read("examples/docker/Dockerfile"), /^RUN LIGHTHOUSE_COMMIT="\$COMMIT" deno task compile$/m);
});

Deno.test("every task that starts Lighthouse has the same permissions, and none has all", () => {
  const flags = (task: string) => config.tasks[task].command.match(/--allow-\S+/g).join(" ");
  for (const task of ["writer", "reporter", "run", "store"]) assert.equal(flags(task), flags("lighthouse"), task);
  for (const task of TASKS.filter((name) => name !== "bench" && name !== "soak")) {
    assert.doesNotMatch(config.tasks[task].command, /\s(?:-A|--allow-all)\b/, task);
  }
});

Deno.test("links in documents lead to files and headings that exist", () => {
  const slug = (heading: string) =>
    heading.trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-");
  const anchors = (path: string) =>
    [...read(path).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => slug(heading ?? ""));
  const broken = documents.flatMap((path) =>
    [...read(path).replace(/```[\s\S]*?```/g, "").matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
      if (/^[a-z]+:/.test(link)) return [];
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? path : resolvePath(path, file);
      if (!exists(target)) return [`${path}: ${link}`];
      if (anchor !== undefined && target.endsWith(".md") && !anchors(target).includes(anchor)) {
        return [`${path}: ${link}`];
      }
      return [];
    })
  );
  assert.deepEqual(broken, []);
});

Deno.test("tests alone are exempt from the layers", () => {
  assert.ok(isTest("tests/run.ts") && isTest("src/reporter/verdict_test.ts") && !isTest("src/reporter/verdict.ts"));
});

Deno.test("licence and change log are there, and name the version at hand", () => {
  assert.match(read("LICENSE"), /MIT License/);
  assert.match(read("CHANGELOG.md"), new RegExp(`^## ${RegExp.escape(config.version)}\\b`, "m"));
});

Deno.test("readJunit() counts passes and names failures", () => {
  const xml = `<testsuites><testsuite name="./a_test.ts">
    <testcase name="a &lt;b&gt; passes" classname="./a_test.ts" time="0.1"></testcase>
    <testcase name="b passes" classname="./a_test.ts" time="0.1"/>
    <testcase name="&quot;c&quot; fails" classname="./a_test.ts"><failure message="no">stack</failure></testcase>
    <testcase name="d is skipped" classname="./a_test.ts"><skipped/></testcase>
  </testsuite></testsuites>`;
  const { passed, failed } = readJunit(xml);
  assert.deepEqual({ passed, failed }, { passed: 2, failed: ['./a_test.ts: "c" fails'] });
});

Deno.test("slowest() ranks the tests of a report by duration", () => {
  const xml = `<testsuite>
    <testcase name="a" classname="./a_test.ts" time="0.2"/>
    <testcase name="b" classname="./a_test.ts" time="11.5"></testcase>
    <testcase name="c" classname="./a_test.ts" time="3"/>
  </testsuite>`;
  assert.deepEqual(slowest(readJunit(xml).timed, 2), [
    { name: "./a_test.ts: b", seconds: 11.5 },
    { name: "./a_test.ts: c", seconds: 3 },
  ]);
});

/** Says which ways to connect a source uses besides `connectTcp`; each tries one address of a name, or skips the helper. */
function* connectionsBeside(path: string): Generator<string> {
  const text = read(path).replaceAll(/^\s*(?:\*|\/\/).*$/gm, "");
  for (const [call] of text.matchAll(/\bDeno\.(?:connect(?!\(\{ transport: "unix", path)|connectTls|startTls)\b.*/g)) {
    yield `${path}: ${call}`;
  }
  if (/(?<![.\w])fetch\(/.test(text)) yield `${path}: fetch`;
  for (
    const [line, names = "", module = ""] of text.matchAll(/^import \{([^}]*)\} from "node:(net|tls|https?|http2)";/gm)
  ) {
    const values = names.split(",").map((name) => name.trim()).filter((name) =>
      name !== "" && !name.startsWith("type ")
    );
    const connects = values.some((name) =>
      /^(?:Agent|connect|createConnection|get|request|Socket|TLSSocket)\b/.test(name)
    );
    // Node's own modules connect to the first address alone, unless they are handed a socket.
    if (connects && (module === "net" || module === "https" || !/\bnew TcpSocket\(/.test(text))) {
      yield `${path}: ${line}`;
    }
  }
}

Deno.test("every TCP connection is made by connectTcp, which tries all addresses of a name", () => {
  const own = sources.filter((path) => /^(?:src|plugins|workers)\//.test(path) && !isTest(path));
  const apart = [
    // What plugins are made of: they cannot import the helper, and `Deno.connect` and `fetch` do the same.
    /^src\/skeleton\//,
    // From loopback to loopback, for tests of plugins.
    /^src\/conformance\/tcp_proxy\.ts$/,
    // Plugins are downloaded through a proxy where there is one; `fetch` tries all addresses.
    /^src\/plugin\/fetch\.ts$/,
    /^src\/system\/tcp\.ts$/,
  ];
  const found = own.flatMap((path) => [...connectionsBeside(path)]);
  assert.deepEqual(
    found.filter((each) => !apart.some((pattern) => pattern.test(each.slice(0, each.indexOf(":"))))),
    [],
  );
  for (const pattern of apart) {
    assert.ok(found.some((each) => pattern.test(each.slice(0, each.indexOf(":")))), `${pattern}`);
  }
});

Deno.test("documents use the terms of the field", () => {
  const faults = documents.filter(isVoiceChecked).flatMap((path) =>
    proseOf(read(path)).split(/\n{2,}|\n(?=\||- |\d+\. )/).flatMap((paragraph) =>
      voiceFaults(paragraph).map((fault) => `${path}: ${fault}: ${paragraph.trim().slice(0, 100)}`)
    )
  );
  assert.deepEqual(faults, []);
});

Deno.test("the list of texts that are not finished names only what exists, once, and no part of a folder on it", () => {
  for (const entry of UNFINISHED) {
    assert.ok(exists(entry), entry);
    assert.deepEqual(UNFINISHED.filter((other) => entry.startsWith(other)), [entry]);
  }
});

Deno.test.each([
  { line: 'throw new Error("Cannot do that: it is held back");', fault: /^"held back": write held$/ },
  { line: "const x = `the ${1} is out of reach`;", fault: /^"out of reach": write unreachable/ },
  { line: "// What was there before is put right.", fault: /^"put right"/ },
  { line: "/**\n * The members are\n * told.\n */\nexport const x = 1;", fault: /^"are told"/ },
  { line: 'log.warn("Registry unreachable; refused a change");', fault: /^"refused": write reject/ },
])("the lint plugin reports an old word in $line", ({ line, fault }) => {
  const found = Deno.lint.runPlugin(plugin, new URL("src/store/sample.ts", ROOT).pathname, line);
  assert.deepEqual(found.map(({ id }) => id), ["layers/voice"]);
  assert.match(found[0]?.message ?? "", fault);
});

Deno.test("the lint plugin accepts values, names, standard terms, code in comments, and the file that quotes the words", () => {
  const lint = (path: string, source: string) => Deno.lint.runPlugin(plugin, new URL(path, ROOT).pathname, source);
  for (
    const line of [
      'export const x = { directives: "predecessor", refused: 1, result: "refused" };',
      'export const x = "use directives: predecessor during a migration";',
      'export const x = "Cannot reach 10.0.0.1:80: connection refused";',
      "// See `refused` in the protocol.",
    ]
  ) assert.deepEqual(lint("src/store/sample.ts", line), [], line);
  assert.deepEqual(lint("tests/tidy_test.ts", "// This is put right."), []);
});
