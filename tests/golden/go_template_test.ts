/**
 * Renders converted templates of confd as the balancer `template` does. What Go
 * and confd make of each is written beside it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { balancerSchema } from "../../plugins/balancers/template/config.ts";
import { render } from "../../plugins/balancers/template/render.ts";
import { parseGoTemplate } from "../../src/import/go_template.ts";
import { toLiquid } from "../../src/import/liquid_template.ts";

const KEYS: Readonly<Record<string, string>> = {
  "/app/array": '[{"id": 1}, {"id": 2}]',
  "/app/empty": "",
  "/app/hosts": "b,a,backup",
  "/app/json": '{"name": "x", "port": 8080, "on": true, "list": ["p", "q"], "map": {"k": "v"}}',
  "/app/name": "web-app",
  "/app/port": "5",
  "/app/up/long_name": "10.0.0.2:80",
  "/app/up/one": "10.0.0.1:80",
  "/app/users/ann/role": "admin",
  "/app/users/bob/role": "guest",
};

/** Renders a template with these keys; with `below`, they are asked for without it. */
function rendered(template: string, below: string): string {
  const { text, unconverted } = toLiquid(parseGoTemplate(template), { below });
  assert.deepEqual(unconverted, []);
  const prefix = below === "" ? "/" : below;
  const place = { discovery: "etcd", prefix };
  const config = balancerSchema["~standard"].validate({ files: [{ text, dest: "/x", keys: place }] });
  assert.ok("value" in config, JSON.stringify(config));
  const entries = Object.entries(KEYS).map(([key, value]) => ({ key: key.slice(below.length), value }));
  const { files, faults } = render({
    config: config.value,
    host: { fqdn: "host.test", ip: "127.0.0.1" },
    clusters: [],
    keys: [{ ...place, entries }],
  });
  assert.equal(faults, undefined, JSON.stringify(faults));
  return files.get("/x")?.text ?? assert.fail("nothing rendered");
}

/** What Go renders, by the template. */
const CASES: Readonly<Record<string, string>> = {
  "plain { text } and {% this %}": "plain { text } and {% this %}",
  '{{getv "/app/name"}}': "web-app",
  '{{ getv "/app/none" "standard" }}': "standard",
  '{{(get "/app/name").Value}} of {{(get "/app/name").Key}}': "web-app of /app/name",
  'a\n  {{- /* comment */ -}}\n  b': "ab",
  'a {{- getv "/app/name" -}} b': "aweb-appb",
  '{{$p := getv "/app/port"}}{{$q := atoi $p}}{{add $q 1}} {{sub $q 1}} {{mul $q 2}} {{div $q 2}} {{mod $q 3}}':
    "6 4 10 2 2",
  '{{if exists "/app/name"}}yes{{else}}no{{end}} {{if exists "/app/none"}}yes{{else}}no{{end}}': "yes no",
  '{{if getv "/app/empty"}}full{{else}}empty{{end}} {{if getv "/app/name"}}full{{end}}': "empty full",
  '{{if false}}1{{else if exists "/app/none"}}2{{else if eq 1 1}}3{{else}}4{{end}}': "3",
  '{{with getv "/app/name"}}<{{.}}>{{end}}{{with getv "/app/empty"}}x{{else}}none{{end}}': "<web-app>none",
  '{{with $x := getv "/app/name"}}{{$x}}{{end}}': "web-app",
  '{{range gets "/app/up/*"}}{{.Key}}={{.Value}} {{base .Key}};{{end}}':
    "/app/up/long_name=10.0.0.2:80 long_name;/app/up/one=10.0.0.1:80 one;",
  '{{range getvs "/app/up/*"}}[{{.}}]{{end}}': "[10.0.0.2:80][10.0.0.1:80]",
  '{{range gets "/app/none/*"}}x{{else}}nothing{{end}}': "nothing",
  '{{range $i, $u := lsdir "/app/users"}}{{$i}}:{{$u}}={{getv (printf "/app/users/%s/role" $u)}} {{end}}':
    "0:ann=admin 1:bob=guest ",
  '{{range $u := ls "/app/users"}}{{range gets (printf "/app/users/%s/*" $u)}}{{.Value}},{{end}}{{end}}': "admin,guest,",
  '{{range $i, $a := split "a,b" ","}}{{range $j, $b := split "c,d" ","}}{{$i}}{{$j}}{{$a}}{{$b}} {{end}}{{end}}':
    "00ac 01ad 10bc 11bd ",
  '{{$last := ""}}{{range split "a,b" ","}}{{$last = .}}{{end}}{{$last}}': "b",
  '{{$x := "out"}}{{if true}}{{$x := "in"}}{{$x}} {{end}}{{$x}}': "in out",
  '{{range split "a,b,c" ","}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}': "a",
  '{{range split "a,b,c" ","}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}': "ac",
  '{{join (split (getv "/app/hosts") ",") ";"}} {{join (reverse (split "a,b" ",")) ""}}': "b;a;backup ba",
  '{{toUpper "a"}}{{toLower "B"}}{{"c" | toUpper | printf "%s%s" "x"}}': "AbxC",
  '{{replace "a_b_c" "_" "-" -1}} {{replace "a_b_c" "_" "-" 1}} {{trimSuffix "a.b.b" ".b"}} {{trimSuffix "a.b" ".c"}}':
    "a-b-c a-b_c a.b a.b",
  '{{dir "/a/b"}} {{base "/a/b"}} {{base64Encode "héllo"}} {{base64Decode "aMOpbGxv"}}': "/a b aMOpbGxv héllo",
  '{{range split (getv "/app/hosts") ","}}{{.}}{{if contains . "back"}}!{{end}} {{end}}': "b a backup! ",
  '{{$d := json (getv "/app/json")}}{{$d.name}} {{$d.port}} {{if $d.on}}on{{end}}{{if $d.off}}off{{end}} {{$d.map.k}} {{range $d.list}}{{.}}{{end}}':
    "x 8080 on v pq",
  '{{range $k, $v := json "{\\"a\\":1,\\"b\\":2}"}}{{$k}}{{$v}}{{end}}': "a1b2",
  '{{range jsonArray (getv "/app/array")}}{{.id}},{{end}}': "1,2,",
  '{{with json (getv "/app/json")}}{{.name}}{{end}}': "x",
  "{{range seq 1 3}}{{.}}{{end}} {{len (ls \"/app/users\")}} {{index (split \"a,b\" \",\") 1}}": "123 2 b",
  '{{range sortByLength (split "ccc,a,bb" ",")}}{{.}} {{end}}': "a bb ccc ",
  '{{range sortKVByLength (gets "/app/up/*")}}{{base .Key}} {{end}}': "one long_name ",
  '{{if and (eq 1 1) (or (eq 1 2) (not (gt 1 2)))}}a{{end}}{{if or false (and true false)}}b{{end}}': "a",
  '{{if and (getv "/app/empty") true}}a{{else}}b{{end}}{{or (getv "/app/empty") "standard"}}{{and "x" "y"}}': "bstandardy",
  '{{if eq (getv "/app/name") "x" "web-app"}}one of{{end}}{{if ne 1 1}}x{{end}}{{if le 1 1}}le{{end}}{{if ge 1 2}}x{{end}}{{if lt 1 2}}lt{{end}}':
    "one oflelt",
  '{{if parseBool "true"}}t{{end}}{{if parseBool "0"}}f{{end}}': "t",
  '{{printf "%s:%d 100%%" "h" 80}} {{print "a" "b"}}': "h:80 100% ab",
  '{{"quoted \\"x\\" \\\\ \\t."}}{{`raw "y" \\`}}': 'quoted "x" \\ \t.raw "y" \\',
  '{{"}}"}} {{"%}"}} {{"{{"}}': "}} %} {{",
  'x{ {{getv "/app/port"}}}': "x{ 5}",
};

for (const [template, expected] of Object.entries(CASES)) {
  for (const below of ["", "/app"]) {
    Deno.test(`a converted confd template renders the same text: ${template} with keys below ${below || "/"}`, () => {
      assert.equal(rendered(template, below), expected);
    });
  }
}
