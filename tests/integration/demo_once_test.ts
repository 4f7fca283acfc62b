import { checkDemo } from "../support/demo.ts";

Deno.test("the demo over a directory ends by itself without a failed request or a reload", () => checkDemo());
