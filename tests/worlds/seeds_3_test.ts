import { testPart } from "../simulation/live.ts";

testPart(2, 4);
