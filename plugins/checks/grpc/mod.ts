import type { CheckPlugin, Endpoint, ProbeOutcome } from "../../../mod.ts";
import { quote } from "../../../src/kernel/quote.ts";
import { parseEndpoint } from "../../../src/model/endpoint.ts";
import { outcomeOf, ProbeError, readAuthorities } from "../connection.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import type { Reply } from "./call.ts";
import type { GrpcConfig } from "./config.ts";
import { parseResponse } from "./message.ts";

/** Explanations of gRPC statuses. */
const HINTS: ReadonlyMap<string, string> = new Map([
  ["5", "NOT_FOUND: unknown service"],
  ["7", "PERMISSION_DENIED"],
  ["8", "RESOURCE_EXHAUSTED"],
  ["12", "UNIMPLEMENTED: the server does not implement grpc.health.v1.Health"],
  ["13", "INTERNAL"],
  ["14", "UNAVAILABLE"],
  ["16", "UNAUTHENTICATED"],
]);

/** The check `grpc`; its keys are in the README beside this file. */
const grpc: CheckPlugin<GrpcConfig> = {
  kind: "check",
  apiVersion: 1,
  name: "grpc",
  summary: "Passes when a gRPC server reports itself, or one of its services, as serving",
  stability: "stable",
  example: {},
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: ({ tls, verify, ca }, { target }) => ({
    net: target === undefined ? [] : [target],
    ...(tls && verify && ca !== undefined && { read: [ca] }),
  }),
  async probe(config, { target, signal }): Promise<ProbeOutcome> {
    signal.throwIfAborted();
    const address = parseEndpoint(target);
    if (address === undefined) throw new TypeError(`Cannot probe "${target}": must be host:port`);
    try {
      const { callCheck } = await import("./call.ts");
      const tls = config.tls ? await readTls(config, signal) : undefined;
      signal.throwIfAborted();
      return outcomeOfReply(await callCheck(config.service, target, address, { signal, tls }), config, target);
    } catch (error) {
      signal.throwIfAborted();
      return outcomeOf(error, target);
    }
  },
};

export default grpc;

async function readTls({ verify, ca, server_name: serverName }: GrpcConfig, signal: AbortSignal) {
  // Without verification, no CA file has to be read, and no permission for it granted.
  const caCertificates = ca === undefined || !verify ? undefined : await readAuthorities(ca, signal);
  return { verify, serverName, caCertificates };
}

function outcomeOfReply(reply: Reply, { service }: GrpcConfig, target: Endpoint): ProbeOutcome {
  if (reply.status === undefined) throw new ProbeError(`${target} closed the connection without a response`);
  if (reply.status !== 200 || !/^application\/grpc\b/.test(reply.contentType ?? "")) {
    const what = `HTTP status ${reply.status} and content-type ${quote(reply.contentType ?? "")}`;
    return { status: "fail", reason: `Got ${what} from ${target}, expected a gRPC response` };
  }
  if (reply.grpcStatus === undefined) {
    return { status: "fail", reason: `${target} ended the call without a gRPC status` };
  }
  if (reply.grpcStatus !== "0") {
    const hint = HINTS.get(reply.grpcStatus);
    const said = reply.grpcMessage ? `: ${quote(reply.grpcMessage)}` : "";
    const meaning = hint === undefined ? "" : ` (${hint})`;
    return { status: "fail", reason: `Got gRPC status ${quote(reply.grpcStatus)}${meaning} from ${target}${said}` };
  }
  const serving = parseResponse(reply.body);
  const whose = service === "" ? "" : ` for ${quote(service)}`;
  if (serving === undefined) return { status: "fail", reason: `Got no HealthCheckResponse from ${target}` };
  return serving === "SERVING"
    ? { status: "pass", detail: `Got SERVING${whose}` }
    : { status: "fail", reason: `Got ${serving}${whose} from ${target}, expected SERVING` };
}
