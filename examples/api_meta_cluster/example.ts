import { type Example, redisServer, script } from "../stage/example.ts";

/** One API of two services behind one port, and a partner beyond a cluster of proxies. */
export const apiMetaCluster: Example = {
  name: "api_meta_cluster",
  network: "127.89.0",
  types: {
    client: {
      summary: "runs no service; connects to the API and the caches",
      files: ["clusters/cache", "clusters/api_widgets", "clusters/api_sprockets"],
      programs: () => [],
    },
    cache: {
      summary: "a Redis",
      files: ["services/cache"],
      programs: (place) => [redisServer(place)],
    },
    widgets: {
      summary: "one part of the API",
      files: ["services/api_widgets", "clusters/cache"],
      programs: (place) => [script("api_meta_cluster/widgets.ts", 8000, place)],
    },
    sprockets: {
      summary: "the other part of the API; requires the partner",
      files: ["services/api_sprockets", "clusters/cache", "clusters/proxy"],
      programs: (place) => [script("api_meta_cluster/sprockets.ts", 8000, place)],
    },
    partner: {
      summary: "the business partner's server, outside the fleet; must be named partnerapi",
      programs: (place) => [script("api_meta_cluster/partner.ts", 8088, place)],
    },
    proxy: {
      summary: "forwards requests from the other hosts to the partner",
      files: ["services/partner-proxy"],
      balancer: "proxy",
      needs: ["partnerapi"],
      programs: () => [],
    },
  },
};
