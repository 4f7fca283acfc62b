import { testPart } from "./live.ts";

testPart(0, 4);
