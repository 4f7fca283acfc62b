export * from "../../src/conformance/tcp_proxy.ts";
