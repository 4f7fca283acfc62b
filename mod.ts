/**
 * Types for plugin authors: the contract of checks, discovery methods,
 * balancers and notifiers, and the nouns it speaks of.
 *
 * @module
 */
export type * from "./src/plugin/contract.ts";
export type { Endpoint } from "./src/model/endpoint.ts";
export type { Json, Node, NodeState, Peer } from "./src/model/node.ts";
export type { ClusterFacts, ClusterName, ClusterSnapshot, Topology } from "./src/model/topology.ts";
