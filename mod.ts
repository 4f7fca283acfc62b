/**
 * Types for plugin authors: the contract of checks, discovery methods and
 * balancers, and the nouns it speaks of.
 *
 * @module
 */
export type * from "./src/plugin/contract.ts";
export type { Endpoint } from "./src/model/endpoint.ts";
export type { Json, Node, Peer } from "./src/model/node.ts";
export type { ClusterName, ClusterSnapshot, Topology } from "./src/model/topology.ts";
