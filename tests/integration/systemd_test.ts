import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { TempDir } from "../support/temp_dir.ts";

const UNITS = new URL("../../examples/systemd/", import.meta.url);

Deno.test.each([{ role: "writer" }, { role: "reporter" }])(
  "the systemd unit of the $role is one that systemd finds nothing wrong with",
  async ({ role }) => {
    await setUp(["systemd"]);
    await using dir = new TempDir("lighthouse-systemd-");
    const name = `lighthouse-${role}.service`;
    const unit = await Deno.readTextFile(new URL(name, UNITS));
    const admin = `--admin unix:/run/lighthouse/${role}.sock`;
    assert.match(unit, new RegExp(`^ExecStart=/usr/local/bin/lighthouse ${role} /etc/lighthouse ${admin}$`, "m"));
    // The socket is in it, and both units end and start on their own.
    assert.match(unit, /^RuntimeDirectory=lighthouse$/m);
    assert.match(unit, /^RuntimeDirectoryPreserve=yes$/m);
    // Without it, five quick failures (a config directory that is mounted late) end all starts.
    assert.match(unit, /^StartLimitIntervalSec=0$/m);
    // A program that is not there would be a finding, and where tests run none is installed.
    await dir.write(name, unit.replace("/usr/local/bin/lighthouse", "/bin/true"));
    const { success, stdout, stderr } = await new Deno.Command("systemd-analyze", {
      args: ["verify", dir.file(name)],
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.deepEqual({ success, said }, { success: true, said: "" });
  },
);
