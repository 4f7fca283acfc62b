import type { Functions } from "../../src/conformance/balancer_rules.ts";
import { balancerSchema as fileSchema } from "../../plugins/balancers/file/config.ts";
import files from "../../plugins/balancers/file/mod.ts";
import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import { balancerSchema as supervisedSchema } from "../../plugins/balancers/supervised/config.ts";
import supervised from "../../plugins/balancers/supervised/mod.ts";
import { balancerSchema as templateSchema } from "../../plugins/balancers/template/config.ts";
import templates from "../../plugins/balancers/template/mod.ts";
import type { HouseSchema } from "../../src/kernel/schema.ts";
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

const template = { files: [{ text: "{{ clusters | json }}", dest: "/etc/app.json", reload_command: ["/bin/true"] }] };

balancerConforms({
  name: "template",
  example: template,
  functions: { plugin: templates as Functions, config: valueOf(templateSchema, template), cluster: {} },
});

const targets = { format: "prometheus", path: "/etc/targets.json" };

balancerConforms({
  name: "file",
  example: targets,
  functions: { plugin: files as Functions, config: valueOf(fileSchema, targets), cluster: {} },
});

const envoy = { format: "envoy-eds", directory: "/etc/envoy" };

balancerConforms({
  name: "file",
  title: "file, a file for each cluster",
  example: envoy,
  functions: { plugin: files as Functions, config: valueOf(fileSchema, envoy), cluster: {} },
});

const mirror = {
  command: ["/bin/gor", { each: "conformance", arguments: ["{address}"] }],
  pid_file: "/run/gor.pid",
};

balancerConforms({
  name: "supervised",
  example: mirror,
  functions: { plugin: supervised as Functions, config: valueOf(supervisedSchema, mirror), cluster: {} },
});

function valueOf<T>(schema: HouseSchema<T>, value: unknown): T {
  const result = schema["~standard"].validate(value);
  if ("issues" in result) throw new Error(JSON.stringify(result.issues));
  return result.value;
}
