import { houseSchema, type Issue, keys, optional, refined, text } from "../../../src/kernel/schema.ts";

/** The section `tcp:` of a service file, validated. */
export interface TcpConfig {
  /** The string to send, unchanged. */
  readonly query?: string | undefined;
  /** The expected answer before the first line feed. */
  readonly response?: string | undefined;
}

/** Validates `tcp:` of a service file. */
export const schema = refined(houseSchema(keys({ query: optional(text()), response: optional(text()) })), faults, [
  "query",
  "response",
]);

function faults({ query, response }: TcpConfig): readonly Issue[] {
  if (query !== undefined && response === undefined) {
    return [{ message: "Missing key response: query requires a response", path: [] }];
  }
  if (response !== undefined && query === undefined) {
    return [{ message: "Missing key query: response requires a query", path: [] }];
  }
  if (response?.includes("\n")) {
    return [{
      message: "Cannot use response: must be one line, without a line feed; current value is " +
        JSON.stringify(response),
      path: ["response"],
    }];
  }
  return [];
}
