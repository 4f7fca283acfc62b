import assert from "node:assert/strict";
import { withoutOwnSockets } from "./stats_socket.ts";

const PATHS = { socketFile: "/run/h/admin.sock", masterSocket: "/run/h/master.sock" };

Deno.test.each([
  { line: "stats socket /run/h/admin.sock mode 660 level admin", access: "mode 660" },
  { line: 'stats  socket "/run/h/admin.sock" user a group b # theirs', access: "mode 600 user a group b" },
  { line: "stats socket unix@/run//h/./x/../admin.sock level user", access: "mode 600" },
  { line: "stats socket /run/h/master.sock mode 777", access: "mode 600" },
])("withoutOwnSockets() removes $line, and keeps its access settings", ({ line, access }) => {
  const told: string[] = [];
  const other = { text: "stats socket /run/other.sock mode 660" };
  const found = withoutOwnSockets(
    [{ text: line }, other, { text: "stats timeout 30s" }],
    PATHS,
    (text) => void told.push(text),
  );
  assert.deepEqual([found.lines.map(({ text }) => text), found.access], [[other.text, "stats timeout 30s"], access]);
  assert.match(
    told.join(),
    /^global: line .* is skipped: (?:socket_file|master_socket) already configures that socket/,
  );
  assert.equal(told.length, 1);
});
