import type { BalancerPlugin, CheckPlugin, DiscoveryPlugin, NotifierPlugin } from "../src/plugin/contract.ts";

/** A plugin with an opaque config type. */
// deno-lint-ignore no-explicit-any -- a plugin is used through its own validator, so its config type is opaque here.
type Any = any;
/** A module whose default export is a plugin. */
export type PluginModule = {
  readonly default: CheckPlugin<Any> | DiscoveryPlugin<Any> | BalancerPlugin<Any, Any, Any> | NotifierPlugin<Any>;
};

/**
 * The built-in plugins, by `kind/name`. Each import is a string literal, so that `deno compile` embeds
 * it and a worker without read permission may load it: a computed specifier allows neither.
 */
export const BUILTINS: ReadonlyMap<string, () => Promise<PluginModule>> = new Map<
  string,
  () => Promise<PluginModule>
>([
  ["check/dns", () => import("../plugins/checks/dns/mod.ts")],
  ["check/exec", () => import("../plugins/checks/exec/mod.ts")],
  ["check/file", () => import("../plugins/checks/file/mod.ts")],
  ["check/grpc", () => import("../plugins/checks/grpc/mod.ts")],
  ["check/http", () => import("../plugins/checks/http/mod.ts")],
  ["check/noop", () => import("../plugins/checks/noop/mod.ts")],
  ["check/postgres", () => import("../plugins/checks/postgres/mod.ts")],
  ["check/redis", () => import("../plugins/checks/redis/mod.ts")],
  ["check/tcp", () => import("../plugins/checks/tcp/mod.ts")],
  ["discovery/etcd", () => import("../plugins/discovery/etcd/mod.ts")],
  ["discovery/file", () => import("../plugins/discovery/file/mod.ts")],
  ["discovery/lighthouse", () => import("../plugins/discovery/lighthouse/mod.ts")],
  ["discovery/serf", () => import("../plugins/discovery/serf/mod.ts")],
  ["discovery/static", () => import("../plugins/discovery/static/mod.ts")],
  ["discovery/zookeeper", () => import("../plugins/discovery/zookeeper/mod.ts")],
  ["notifier/exec", () => import("../plugins/notifiers/exec/mod.ts")],
  ["notifier/sentry", () => import("../plugins/notifiers/sentry/mod.ts")],
  ["notifier/slack", () => import("../plugins/notifiers/slack/mod.ts")],
  ["notifier/webhook", () => import("../plugins/notifiers/webhook/mod.ts")],
  ["balancer/file", () => import("../plugins/balancers/file/mod.ts")],
  ["balancer/haproxy", () => import("../plugins/balancers/haproxy/mod.ts")],
  ["balancer/nginx", () => import("../plugins/balancers/nginx/mod.ts")],
  ["balancer/supervised", () => import("../plugins/balancers/supervised/mod.ts")],
  ["balancer/template", () => import("../plugins/balancers/template/mod.ts")],
]);

/** What the host loads of a built-in plugin whose rest runs in a worker alone, by `kind/name`. */
export const HOST_PARTS: ReadonlyMap<string, () => Promise<PluginModule>> = new Map<
  string,
  () => Promise<PluginModule>
>([
  ["balancer/template", () => import("../plugins/balancers/template/host.ts")],
]);
