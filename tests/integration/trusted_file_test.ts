import assert from "node:assert/strict";
import { TempDir } from "../support/temp_dir.ts";
import {
  distrust,
  makeDirectory,
  openTrusted,
  placeFileSync,
  readTrusted,
  resolveTrusted,
  UntrustedPathError,
} from "../../src/system/trusted_file.ts";
import { writeAtomically } from "../../src/system/atomic_file.ts";

const ROOT = new URL("../../", import.meta.url);

/** The places where files are written by other means, and why that is safe. */
const OTHER_WAYS: Readonly<Record<string, string>> = {
  "src/system/trusted_file.ts": "the rule itself",
  "src/logging/syslog_target.ts": "a link in a directory that it has just made for itself",
  "plugins/discovery/file/session.ts": "a directory of its registry, in a worker that may write nowhere else",
  "src/cli/man_page.ts": "a developer's checkout",
  "src/packaging/stage.ts": "a developer's checkout",
  "src/packaging/pack.ts": "a developer's checkout",
};

Deno.test("every file is written under the same rule", async () => {
  const writes =
    /\b(?:writeTextFile|writeFile|copyFile|mkdir|symlink|truncate|create|link)(?:Sync)?\(|\bopen(?:Sync)?\([^;]*?\b(?:write|append|create|createNew|truncate): true/;
  const found: string[] = [];
  for (const folder of ["src", "plugins", "workers"]) {
    for await (const path of sourcesIn(`${folder}/`)) {
      const text = await Deno.readTextFile(new URL(path, ROOT));
      const calls = text.split("Deno.").slice(1).filter((call) => new RegExp(`^(?:${writes.source})`).test(call));
      if (calls.length > 0 || /from "node:fs(?:\/promises)?"/.test(text)) found.push(path);
    }
  }
  assert.deepEqual(found.toSorted(), Object.keys(OTHER_WAYS).toSorted());
});

async function* sourcesIn(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (isDirectory) yield* sourcesIn(`${folder}${name}/`);
    else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) yield `${folder}${name}`;
  }
}

const US = 1_000, THEM = 1_001;
const FILE = { isSymlink: false, isDirectory: false, nlink: 1, mode: 0o644 };
const LINK = { ...FILE, isSymlink: true };
const TMP = { uid: 0, mode: 0o1777 };

Deno.test.each([
  {
    what: "another user's link in /tmp",
    entry: { ...LINK, uid: THEM },
    folder: TMP,
    fault: /a symlink created by user 1001/,
  },
  {
    what: "another user's link in their own directory",
    entry: { ...LINK, uid: THEM },
    folder: { uid: THEM, mode: 0o755 },
    fault: /link/,
  },
  {
    what: "another user's link where a group may write",
    entry: { ...LINK, uid: THEM },
    folder: { uid: 0, mode: 0o775 },
    fault: /link/,
  },
  { what: "another user's file in /tmp", entry: { ...FILE, uid: THEM }, folder: TMP, fault: /owned by user 1001/ },
  {
    what: "another user's directory in /tmp",
    entry: { ...FILE, isDirectory: true, uid: THEM },
    folder: TMP,
    fault: /owned by/,
  },
  {
    what: "a hard link to root's file in /tmp",
    entry: { ...FILE, uid: 0, nlink: 2 },
    folder: TMP,
    fault: /several hard links/,
  },
  {
    what: "a hard link in another user's directory",
    entry: { ...FILE, uid: 0, nlink: 2 },
    folder: { uid: THEM, mode: 0o755 },
    fault: /hard links/,
  },
])("distrust() rejects $what", ({ entry, folder, fault }) => {
  assert.match(distrust(entry, folder, US) ?? "", fault);
});

Deno.test.each([
  { what: "our link in /tmp", entry: { ...LINK, uid: US }, folder: TMP },
  { what: "root's link in /tmp", entry: { ...LINK, uid: 0 }, folder: TMP },
  { what: "any link where only root may write", entry: { ...LINK, uid: THEM }, folder: { uid: 0, mode: 0o755 } },
  { what: "our file in /tmp", entry: { ...FILE, uid: US }, folder: TMP },
  {
    what: "another user's file in root's directory",
    entry: { ...FILE, uid: THEM, nlink: 2 },
    folder: { uid: 0, mode: 0o755 },
  },
  { what: "another user's file that a group shares", entry: { ...FILE, uid: THEM }, folder: { uid: 0, mode: 0o2775 } },
  {
    what: "a directory, whose link count is high, in another user's directory",
    entry: { ...FILE, isDirectory: true, uid: US, nlink: 9 },
    folder: { uid: THEM, mode: 0o755 },
  },
  { what: "an entry without an owner", entry: { ...FILE, uid: null }, folder: { uid: null, mode: null } },
])("distrust() accepts $what", ({ entry, folder }) => {
  assert.equal(distrust(entry, folder, US), undefined);
});

Deno.test("resolveTrusted() follows links of every kind, and resolves paths that do not exist yet", async () => {
  await using dir = new TempDir();
  await dir.write("real/deep/a", "a");
  await Deno.symlink("real", dir.file("folder"));
  await Deno.symlink("../real/deep/../deep/a", dir.file("real/up"));
  await Deno.symlink(dir.file("folder/new"), dir.file("dangling"));
  assert.equal(await resolveTrusted(dir.file("folder/deep/a")), dir.file("real/deep/a"));
  assert.equal(await resolveTrusted(dir.file("folder/./deep//../up")), dir.file("real/deep/a"));
  assert.equal(await resolveTrusted(dir.file("dangling")), dir.file("real/new"));
  await Deno.symlink("loop", dir.file("loop"));
  await assert.rejects(resolveTrusted(dir.file("loop")), /too many levels of symbolic links/);
});

/** A directory like /tmp, with another user's entries. Only root can act as another user. */
async function sharedDir(): Promise<TempDir> {
  const dir = new TempDir("lighthouse-shared-");
  await Deno.chmod(dir.path, 0o1777);
  await dir.write("victim", "secret");
  return dir;
}

const ignore = Deno.uid() !== 0;

Deno.test("no write follows a symlink that another user created in a shared directory", { ignore }, async () => {
  await using dir = await sharedDir();
  await Deno.symlink(dir.file("victim"), dir.file("trap"));
  await new Deno.Command("chown", { args: ["--no-dereference", "65534", dir.file("trap")] }).output();
  for (
    const attempt of [
      () => writeAtomically(dir.file("trap"), "new", { mode: 0o640 }),
      () => openTrusted(dir.file("trap"), { mode: 0o640, append: true }),
      () => readTrusted(dir.file("trap")),
      () => makeDirectory(dir.file("trap/below")),
    ]
  ) {
    await assert.rejects(attempt, (error: Error) => {
      assert.ok(error instanceof UntrustedPathError);
      assert.match(error.message, /trap is a symlink created by user 65534, in a directory writable by others$/);
      return true;
    });
  }
  assert.equal(await Deno.readTextFile(dir.file("victim")), "secret");
});

Deno.test(
  "no file is created through a link that another user places while it is opened",
  { ignore },
  async () => {
    await using dir = await sharedDir();
    // Not sticky, like a directory that a group shares: there the kernel follows links whatever its settings.
    await Deno.chmod(dir.path, 0o777);
    const attacker = new Deno.Command("setpriv", {
      args: [
        ...["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c"],
        `for i in $(seq 200000); do ln -s made trap; rm -f trap; [ -e stop ] && break; done 2>/dev/null`,
      ],
      cwd: dir.path,
      stdout: "null",
      stderr: "null",
    }).spawn();
    const isMade = () => Deno.lstat(dir.file("made")).then(() => true, () => false);
    let isElsewhere = false;
    try {
      for (let tries = 0; tries < 400 && !isElsewhere; tries++) {
        // The result depends on timing; where a file may be created does not.
        await openTrusted(dir.file("trap"), { mode: 0o640 }).then((file) => file.close(), () => {});
        await Deno.remove(dir.file("trap")).catch(() => {});
        isElsewhere = await isMade();
      }
    } finally {
      await Deno.writeTextFile(dir.file("stop"), "");
      await attacker.status;
    }
    assert.ok(!isElsewhere, "an empty file was made where the link led");
  },
);

Deno.test("a file for a process that may end is not placed below a link of another user", { ignore }, async () => {
  await using dir = await sharedDir();
  await Deno.mkdir(dir.file("elsewhere"));
  await Deno.symlink(dir.file("elsewhere"), dir.file("cache"));
  await new Deno.Command("chown", { args: ["--no-dereference", "65534", dir.file("cache")] }).output();
  assert.throws(() => placeFileSync(dir.file("cache/hung/a"), "how", { mode: 0o644 }), UntrustedPathError);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(dir.file("elsewhere"))), []);
  placeFileSync(dir.file("own/hung/a"), "how", { mode: 0o644 });
  placeFileSync(dir.file("own/hung/a"), "again", { mode: 0o644 });
  assert.equal(await readTrusted(dir.file("own/hung/a")), "again");
});

Deno.test("no write goes below a directory that another user put into a shared one", { ignore }, async () => {
  await using dir = await sharedDir();
  await Deno.mkdir(dir.file("theirs"));
  await Deno.chown(dir.file("theirs"), 65534, 65534);
  await assert.rejects(writeAtomically(dir.file("theirs/a"), "new", { mode: 0o640 }), UntrustedPathError);
  await assert.rejects(Deno.lstat(dir.file("theirs/a")), Deno.errors.NotFound);
});

Deno.test("a link of our own in a shared directory is followed, and a file of our own written", async () => {
  await using dir = await sharedDir();
  await Deno.symlink(dir.file("victim"), dir.file("own"));
  await writeAtomically(dir.file("own"), "new", { mode: 0o640 });
  assert.equal(await readTrusted(dir.file("victim")), "new");
  {
    using file = await openTrusted(dir.file("victim"), { mode: 0o640, append: true });
    await file.write(new TextEncoder().encode("er"));
  }
  assert.equal(await Deno.readTextFile(dir.file("own")), "newer");
});
