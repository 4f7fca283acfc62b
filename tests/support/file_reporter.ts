/**
 * A process that registers one node in a directory and waits, to be stopped or
 * killed: `file_reporter.ts DIR TTL_MS CLUSTER PORT`.
 *
 * @module
 */
import { FileSession } from "../../plugins/discovery/file/session.ts";
import { RecordingContext, testNode, up } from "./discovery.ts";

const [path = "", ttlMs, cluster = "", port] = Deno.args;
const context = new RecordingContext();
const session = await FileSession.open({ path, ttlMs: Number(ttlMs) }, context);
await session.register(cluster, up(testNode(Number(port))), context.signal);
