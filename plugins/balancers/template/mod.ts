/**
 * Files made of Liquid templates: rendered from the members of clusters and the keys of registries, checked, installed, and
 * loaded by their readers.
 *
 * @module
 */
import type { BalancerPlugin, Seen } from "../../../mod.ts";
import type { TemplateConfig } from "./config.ts";
import host from "./host.ts";
import { render } from "./render.ts";

const template: BalancerPlugin<TemplateConfig, object, Seen> = { ...host, render };

export default template;
