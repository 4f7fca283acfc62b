import { testPart } from "./live.ts";

testPart(2, 4);
