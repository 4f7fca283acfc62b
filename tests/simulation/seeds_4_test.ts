import { testPart } from "./live.ts";

testPart(3, 4);
