import { testPart } from "../simulation/live.ts";

testPart(3, 4);
