export type * from "../../../mod.ts";
