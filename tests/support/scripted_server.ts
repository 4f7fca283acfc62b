export * from "../../src/conformance/scripted_server.ts";
