import { testPart } from "./live.ts";

testPart(1, 4);
