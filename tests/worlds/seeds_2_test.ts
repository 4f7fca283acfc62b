import { testPart } from "../simulation/live.ts";

testPart(1, 4);
