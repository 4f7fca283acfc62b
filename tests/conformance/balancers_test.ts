import type { Functions } from "../../src/conformance/balancer_rules.ts";
import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import { haproxyCluster, haproxyConfig } from "../support/haproxy.ts";
import { HaproxyModel } from "../support/haproxy_model.ts";
import { balancerConforms } from "./suite.ts";
import nginx from "../../plugins/balancers/nginx/mod.ts";
import { hashIn } from "../../plugins/balancers/nginx/status.ts";
import { nginxCluster, nginxConfig } from "../support/nginx.ts";
import { QUERIES } from "../../plugins/balancers/haproxy/observe.ts";

const CONFIG = {
  config_file: "/etc/haproxy.cfg",
  socket_file: "/var/run/haproxy.sock",
  pid_file: "/var/run/haproxy.pid",
};
const config = haproxyConfig(CONFIG);

balancerConforms({
  name: "haproxy",
  example: CONFIG,
  functions: {
    // The config is opaque here: the value is the schema's result.
    plugin: haproxy as Functions,
    config,
    cluster: haproxyCluster({ port: 8080 }),
    running: ({ files }) => {
      const model = new HaproxyModel();
      model.file = files.get(config.configFile)?.text;
      model.boot();
      return QUERIES.map((query) => model.command(query));
    },
  },
});

const NGINX = {
  config_file: "/etc/nginx/lighthouse.conf",
  pid_file: "/run/nginx.pid",
  status_socket: "/run/lighthouse/nginx.sock",
};

balancerConforms({
  name: "nginx",
  example: NGINX,
  functions: {
    plugin: nginx as Functions,
    config: nginxConfig(NGINX),
    cluster: nginxCluster({ listen: 8080 }),
    running: ({ files }) => [`7 ${hashIn(files.get(NGINX.config_file)?.text ?? "")}`, "Active connections: 1"],
  },
});
