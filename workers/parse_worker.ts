/**
 * The entry of the worker that parses plugins' modules. It runs without any
 * permission and executes nothing of what it parses: a source that overflows the
 * parser's stack ends this worker, not the host.
 *
 * @module
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { PLUGIN_API_VERSION } from "../src/plugin/contract.ts";
import { type Init, PROTOCOL_VERSION, type ToHost, type ToWorker } from "../src/protocol/messages.ts";
import { toWireError } from "../src/protocol/wire_error.ts";
import { parseModule } from "./parse.ts";

self.onmessage = ({ data }: MessageEvent<Init>) => {
  self.onmessage = null;
  const { v, port } = data;
  if (v !== PROTOCOL_VERSION) {
    throw new Error(`Cannot use protocol version ${v}: this worker uses version ${PROTOCOL_VERSION}`);
  }
  const send = (message: ToHost) => port.postMessage(JSON.stringify(message));
  port.onmessage = ({ data: message }: MessageEvent<ToWorker>) => {
    switch (message.type) {
      case "ping":
        return send({ type: "pong", seq: message.seq });
      case "parse":
        try {
          return send({ type: "parsed", parsed: parseModule(message.path, message.text), seq: message.seq });
        } catch (error) {
          return send({ type: "nack", error: toWireError(error), seq: message.seq });
        }
      case "stop":
        send({ type: "stopped" });
        return self.close();
    }
  };
  send({ type: "loaded", kind: "parser", apiVersion: PLUGIN_API_VERSION, name: "parser" });
};
