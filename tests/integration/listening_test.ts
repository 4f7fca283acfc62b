import assert from "node:assert/strict";
import { TempDir } from "../support/temp_dir.ts";
import { listenAt } from "../../src/http/listening.ts";

Deno.test(
  "listenAt() creates no socket below a directory that another user put into a shared one",
  { ignore: Deno.uid() !== 0 },
  async () => {
    await using dir = new TempDir();
    await Deno.chmod(dir.path, 0o1777);
    await Deno.mkdir(dir.file("theirs"));
    await Deno.chown(dir.file("theirs"), 65534, 65534);
    await assert.rejects(
      listenAt({ path: dir.file("theirs/socket") }),
      /^Error: Cannot listen on unix:.*theirs is owned by user 65534, in a world-writable directory$/,
    );
    await Deno.chown(dir.file("theirs"), 0, 0);
    await using listening = await listenAt({ path: dir.file("theirs/socket") });
    listening.listener.close();
  },
);
