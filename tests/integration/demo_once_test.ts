import { checkDemo } from "../support/demo.ts";

Deno.test("the demo over a directory ends by itself, with no request failed and no reload", () => checkDemo());
