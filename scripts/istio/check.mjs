// Checks the resources in envoy/istio/ three times: by the validators of @kubernetes-models/istio (generated from Istio's CRDs:
// types, enums, patterns, required fields), by the TypeScript compiler against the same package's types (which alone notices a
// field that does not exist), and the plugin configurations in them by `headgate validate`.
//
// TrafficExtension is newer than that package. It is held against a JSON Schema made from the definitions of Istio 1.31 that
// another package ships (definitions.py). What `headgate render` prints of both kinds is checked like the files.
// MeshConfig has no definition in the package: its two keys that matter are held against envoy/envoy.yaml's labels.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WasmPlugin } from "@kubernetes-models/istio/extensions.istio.io/v1alpha1";
import { DestinationRule, Gateway, VirtualService } from "@kubernetes-models/istio/networking.istio.io/v1";
import { Ajv } from "ajv";
import ts from "typescript";
import { parse, parseAllDocuments } from "yaml";

const root = process.argv[2];
const folder = join(root, "envoy/istio");
const models = {
  WasmPlugin: [WasmPlugin, "extensions.istio.io/v1alpha1"],
  VirtualService: [VirtualService, "networking.istio.io/v1"],
  DestinationRule: [DestinationRule, "networking.istio.io/v1"],
  Gateway: [Gateway, "networking.istio.io/v1"],
};
const complaints = [];
const documents = [];
for (const file of readdirSync(folder).filter((name) => name.endsWith(".yaml")).sort()) {
  for (const document of parseAllDocuments(readFileSync(join(folder, file), "utf8"))) {
    for (const error of document.errors) complaints.push(`${file}: ${error.message}`);
    documents.push({ file, value: document.toJS() });
  }
}

const scratch = mkdtempSync(join(tmpdir(), "headgate-istio-"));
const headgate = process.env.HEADGATE_BIN ?? join(root, "target/debug/headgate");

/** What `headgate` prints, of the example configuration for a target in Istio. */
function render(kind) {
  const target = join(scratch, "target.yaml");
  writeFileSync(target, `
name: model
publisher: { file: { path: ecds.yaml } }
filter: { url: "oci://registry.example/headgate:0.1.0", sha256: "${"0".repeat(64)}", env: [HEADGATE_KEY_K1] }
istio: { namespace: istio-system, selector: { istio: ingressgateway } }
`);
  return execFileSync(headgate, ["render", kind, target, "-f", join(root, "envoy/plugin.yaml")], { encoding: "utf8" });
}
for (const kind of ["wasmplugin", "trafficextension"]) {
  documents.push({ file: `headgate render ${kind}`, value: parse(render(kind)), rendered: true });
}

const isTrafficExtension = new Ajv({ allErrors: true, strict: false }).compile(
  JSON.parse(readFileSync(join(import.meta.dirname, "TrafficExtension.json"), "utf8")),
);

/** A TrafficExtension by its schema. Of its alternatives the one for wasm is meant. */
function checkTrafficExtension(file, value) {
  if (!value.spec?.wasm) complaints.push(`${file}: spec.wasm is missing`);
  if (isTrafficExtension(value)) return;
  const told = new Set(isTrafficExtension.errors.filter(({ keyword }) => keyword !== "anyOf").map(
    ({ instancePath, message, params }) => `${file}: ${instancePath || "/"} ${message} ${JSON.stringify(params)}`,
  ));
  complaints.push(...[...told].filter((text) => !text.includes('"lua"')));
}

/** Fields that the types do not have, by the compiler. */
function compile(checked) {
  const source = checked.map(({ kind, group, value }, i) => {
    const fields = Object.fromEntries(Object.entries(value));
    return `import type { I${kind} as T${i} } from "@kubernetes-models/istio/${group}/${kind}";\n` +
      `const d${i}: T${i} & { apiVersion: string; kind: string } = ${JSON.stringify(fields)};\n`;
  }).join("");
  const name = join(import.meta.dirname, "documents.mts");
  writeFileSync(name, source);
  const program = ts.createProgram([name], {
    module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, target: ts.ScriptTarget.ES2022,
    noEmit: true, strict: true, skipLibCheck: true, types: [],
  });
  return ts.getPreEmitDiagnostics(program).map((found) => {
    const line = found.file && found.start !== undefined ? found.file.getLineAndCharacterOfPosition(found.start).line : 0;
    const where = checked[Math.floor(line / 2)]?.file ?? "types";
    return `${where}: ${ts.flattenDiagnosticMessageText(found.messageText, " ")}`;
  });
}

const checked = [];
const plugins = [];
for (const { file, value, rendered } of documents) {
  if (value?.kind === undefined) continue; // mesh settings, below
  const plugin = value.kind === "TrafficExtension" ? value.spec?.wasm : value.spec;
  if (plugin?.pluginConfig && !rendered) plugins.push({ file, spec: plugin });
  if (value.kind === "TrafficExtension") {
    checkTrafficExtension(file, value);
    continue;
  }
  const [model, version] = models[value.kind] ?? [];
  if (!model) {
    complaints.push(`${file}: there is no definition to check a ${value.kind} with`);
    continue;
  }
  if (value.apiVersion !== version) complaints.push(`${file}: apiVersion is ${value.apiVersion}, not ${version}`);
  try {
    new model(value).validate();
  } catch (error) {
    complaints.push(`${file}: ${error.message}`);
  }
  checked.push({ file, kind: value.kind, group: version, value });
}
complaints.push(...compile(checked));

// The plugin configurations: `headgate` takes them, and what they name is there.
const services = checked.filter(({ kind }) => kind === "VirtualService").map(({ value }) => value);
const subsets = checked.filter(({ kind }) => kind === "DestinationRule")
  .flatMap(({ value }) => value.spec.subsets.map(({ name }) => `${value.spec.host}/${name}`));
const matched = services.flatMap(({ spec }) => spec.http)
  .flatMap((route) => (route.match ?? []).map((match) => ({ headers: match.headers ?? {}, route })));
for (const { file, spec } of plugins) {
  const path = join(scratch, "plugin.json");
  writeFileSync(path, JSON.stringify(spec.pluginConfig));
  try {
    execFileSync(headgate, ["validate", path], { stdio: "pipe" });
  } catch (error) {
    complaints.push(`${file}: headgate validate: ${error.stderr}${error.stdout}`);
  }
  for (const route of spec.pluginConfig.routes) {
    const { name, nonce } = route.output.requestHeader;
    for (const variant of route.variants) {
      const [, , subset, host] = variant.cluster.split("|");
      if (!subsets.includes(`${host}/${subset}`)) complaints.push(`${file}: no DestinationRule has ${variant.cluster}`);
      if (variant.name === route.stable) continue;
      const found = matched.find(({ headers }) => headers[name]?.exact === `${variant.name}.${nonce}`);
      if (!found) complaints.push(`${file}: no VirtualService matches ${name}: ${variant.name}.${nonce}`);
      else if (found.route.route[0].destination.subset !== subset) complaints.push(`${file}: ${variant.name} is routed elsewhere`);
    }
    const mirror = route.mirror?.requestHeader;
    if (mirror && !matched.some(({ headers, route: to }) => headers[mirror.name]?.exact === mirror.nonce && to.mirrors)) {
      complaints.push(`${file}: no VirtualService mirrors by ${mirror.name}`);
    }
  }
}
rmSync(scratch, { recursive: true });

// Mesh settings: every label that the bootstrap extracts, and the series that Istio leaves out by default.
const tags = parse(readFileSync(join(root, "envoy/envoy.yaml"), "utf8")).stats_config.stats_tags.map(({ tag_name }) => tag_name);
const mesh = documents.find(({ value }) => value?.meshConfig)?.value.meshConfig.defaultConfig;
const annotation = documents.map(({ value }) => value?.podAnnotations?.["proxy.istio.io/config"]).find(Boolean);
for (const [where, config] of [["meshConfig", mesh], ["annotation", annotation && parse(annotation)]]) {
  const missing = tags.filter((tag) => !config?.extraStatTags?.includes(tag));
  if (missing.length > 0) complaints.push(`stats: ${where}: extraStatTags lacks ${missing.join(", ")}`);
  for (const stat of ["wasmcustom", "extension_config_discovery"]) {
    const listed = config?.proxyStatsMatcher?.inclusionRegexps ?? [];
    const sample = stat === "wasmcustom" ? "wasmcustom.route=.=shop;.;headgate_requests" : "extension_config_discovery.http_filter.x.config_reload";
    if (!listed.some((regex) => new RegExp(`^(?:${regex})$`).test(sample))) complaints.push(`stats: ${where}: proxyStatsMatcher leaves out ${stat}`);
  }
}

const kinds = documents.filter(({ rendered }) => !rendered).map(({ value }) => value?.kind).filter(Boolean);
for (const kind of [...Object.keys(models), "TrafficExtension"]) {
  if (!kinds.includes(kind)) complaints.push(`envoy/istio has no ${kind}`);
}
for (const complaint of complaints) console.error(complaint);
if (complaints.length === 0) console.log(`envoy/istio: ${kinds.length} resources and ${plugins.length} plugin configurations are as their definitions ask, and so is what headgate renders`);
process.exit(complaints.length === 0 ? 0 : 1);
