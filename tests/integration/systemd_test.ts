import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { TempDir } from "../support/temp_dir.ts";

const UNITS = new URL("../../examples/systemd/", import.meta.url);

Deno.test.each([{ role: "writer" }, { role: "reporter" }])(
  "the systemd unit of the $role passes systemd-analyze verify",
  async ({ role }) => {
    await setUp(["systemd"]);
    await using dir = new TempDir("lighthouse-systemd-");
    const name = `lighthouse-${role}.service`;
    const unit = await Deno.readTextFile(new URL(name, UNITS));
    const admin = `--admin unix:/run/lighthouse/${role}.sock`;
    assert.match(unit, new RegExp(`^ExecStart=/usr/local/bin/lighthouse ${role} /etc/lighthouse ${admin}$`, "m"));
    // The socket is in it, and both units stop and start independently.
    assert.match(unit, /^RuntimeDirectory=lighthouse$/m);
    assert.match(unit, /^RuntimeDirectoryPreserve=yes$/m);
    // Without it, five failures in a row (a config directory that is mounted late) end all restarts.
    assert.match(unit, /^StartLimitIntervalSec=0$/m);
    // A missing program would be a finding, and the test machine has none installed.
    await dir.write(name, unit.replace("/usr/local/bin/lighthouse", "/bin/true"));
    const { success, stdout, stderr } = await new Deno.Command("systemd-analyze", {
      args: ["verify", dir.file(name)],
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.deepEqual({ success, said }, { success: true, said: "" });
  },
);
