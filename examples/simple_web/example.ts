import { type Example, redisServer, script } from "../stage/example.ts";

/** A web application on two kinds of hosts, and the caches that it counts in. */
export const simpleWeb: Example = {
  name: "simple_web",
  network: "127.88.0",
  types: {
    client: {
      summary: "runs no service; connects to the web application and the caches",
      files: ["clusters/cache", "clusters/webapp"],
      programs: () => [],
    },
    cache: {
      summary: "a Redis",
      files: ["services/cache"],
      programs: (place) => [redisServer(place)],
    },
    webapp: {
      summary: "the web application, once",
      files: ["services/webapp", "clusters/cache"],
      programs: (place) => [script("simple_web/webapp.ts", 8000, place)],
    },
    multiapp: {
      summary: "the web application, twice: on two ports",
      files: ["services/multiapp", "clusters/cache"],
      programs: (place) => [8001, 8002].map((port) => script("simple_web/webapp.ts", port, place)),
    },
  },
};
