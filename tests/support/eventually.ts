export * from "../../src/conformance/eventually.ts";
