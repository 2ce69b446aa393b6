// Builds static/site.css: the few NL Design System components that the pages
// use, cut down to the classes in the templates, the design tokens that these
// and our own style refer to, and our own style. The result is checked in, so
// that the server builds without Node; "npm run css -- --check" fails when it
// is not what the sources make.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { transform } from "esbuild";

const here = new URL("./", import.meta.url);
const root = new URL("../", here);
const read = (path, base = root) => readFileSync(new URL(path, base), "utf8");
const pkg = (name) => JSON.parse(read(`node_modules/${name}/package.json`));

const tokens = "@nl-design-system-community/ma-design-tokens";
const components = [
  ["@utrecht/root-css", "index"],
  ["@utrecht/page-header-css", "index"],
  ["@utrecht/page-footer-css", "index"],
  ["@utrecht/alert-css", "index"],
  ["@utrecht/table-css", "index"],
  ["@utrecht/form-field-css", "index"],
  ["@utrecht/form-label-css", "index"],
  ["@utrecht/textbox-css", "index"],
  ["@utrecht/textarea-css", "index"],
  ["@utrecht/select-css", "index"],
  ["@nl-design-system-candidate/button-css", "button"],
  ["@nl-design-system-candidate/data-badge-css", "data-badge"],
  ["@nl-design-system-candidate/heading-css", "heading"],
  ["@nl-design-system-candidate/link-css", "link"],
  ["@nl-design-system-candidate/paragraph-css", "paragraph"],
  ["@nl-design-system-candidate/skip-link-css", "skip-link"],
];
const own = ["base.css", "charts.css", "resident.css", "forms.css"];

// Only components under the licence of this project are taken along.
for (const name of [tokens, ...components.map(([name]) => name)]) {
  const { license } = pkg(name);
  if (license !== "EUPL-1.2") throw new Error(`${name} has licence ${license}, not EUPL-1.2`);
}

const minify = async (css) => (await transform(css, { loader: "css", minify: true, target: ["chrome109", "firefox115", "safari16"] })).code;

// blocks splits minified CSS into [prelude, body] pairs, one level deep.
function blocks(css) {
  const out = [];
  for (let i = 0; i < css.length; ) {
    const open = css.indexOf("{", i);
    if (open < 0) break;
    let depth = 1;
    let end = open + 1;
    for (; depth > 0; end++) depth += css[end] === "{" ? 1 : css[end] === "}" ? -1 : 0;
    out.push([css.slice(i, open).trim(), css.slice(open + 1, end - 1)]);
    i = end;
  }
  return out;
}

// splitSelectors cuts at commas that are not within parentheses.
function splitSelectors(list) {
  const out = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= list.length; i++) {
    const c = list[i];
    if (c === "(") depth++;
    if (c === ")") depth--;
    if (i === list.length || (c === "," && depth === 0)) {
      out.push(list.slice(start, i));
      start = i + 1;
    }
  }
  return out;
}

// prune keeps the rules all of whose classes occur in a template or script.
function prune(css, used) {
  let out = "";
  for (const [prelude, body] of blocks(css)) {
    if (prelude.startsWith("@media") || prelude.startsWith("@supports")) {
      const inner = prune(body, used);
      if (inner) out += `${prelude}{${inner}}`;
      continue;
    }
    const kept = splitSelectors(prelude).filter((s) => (s.match(/\.[a-z][\w-]*/g) ?? []).every((c) => used.has(c.slice(1))));
    if (kept.length > 0) out += `${kept.join(",")}{${body}}`;
  }
  return out;
}

// declarations reads the custom properties of a one-rule token file.
function declarations(css) {
  const out = new Map();
  for (const [, name, value] of css.matchAll(/^\s*(--[\w-]+):\s*([^;]+);/gm)) out.set(name, value);
  return out;
}

const references = (text) => [...text.matchAll(/var\(\s*(--[\w-]+)/g)].map((m) => m[1]);

const sources = ["templates", "ts"].flatMap((dir) => readdirSync(new URL(`${dir}/`, root)).map((f) => read(`${dir}/${f}`)));
const used = new Set(sources.join(" ").match(/[a-z][\w-]*/g));

const theme = read("theme.css", here);
const parts = [];
for (const [name, file] of components) {
  parts.push(prune(await minify(read(`node_modules/${name}/dist/${file}.css`)), used));
}
const style = parts.join("") + (await minify(own.map((f) => read(f, here)).join("\n")));

// The tokens that are referred to, and those that these refer to.
const light = declarations(read(`node_modules/${tokens}/dist/theme.css`));
const dark = declarations(read(`node_modules/${tokens}/dist/color-scheme-dark/theme.css`));
const themed = declarations(theme);
const wanted = new Set();
const queue = references(style);
while (queue.length > 0) {
  const name = queue.pop();
  if (wanted.has(name)) continue;
  wanted.add(name);
  for (const value of [themed.get(name), light.get(name), dark.get(name)]) if (value) queue.push(...references(value));
}
// A theme may set the same property once a scheme; all its values count.
for (const [, name, value] of theme.matchAll(/^\s*(--[\w-]+):\s*([^;]+);/gm)) {
  if (wanted.has(name)) for (const ref of references(value)) wanted.add(ref);
}
const pick = (map) => [...map].filter(([name]) => wanted.has(name)).map(([name, value]) => `${name}:${value};`).join("");
const usedTheme = theme.replace(/^\s*(--[\w-]+):[^;]+;(\s*\/\*[^*]*\*\/)?\n/gm, (line, name) => (wanted.has(name) || name.startsWith("--perron-") ? line : ""));

const versions = [tokens, ...components.map(([name]) => name)].map((name) => `${name} ${pkg(name).version}`);
const banner = `/*! Perrondrukte, EUPL-1.2. With parts of ${versions.join(", ")}; EUPL-1.2, their authors and copyrights are in NOTICE.md beside this file. */\n`;
const css = banner + (await minify(`:root{${pick(light)}}@media (prefers-color-scheme:dark){:root{${pick(dark)}}}${usedTheme}`)) + style;

const notice = `# Third-party parts of site.css

site.css is generated by "npm run css" from css/ and the packages below, each
under the European Union Public Licence 1.2 (EUPL-1.2).

${[tokens, ...components.map(([name]) => name)]
  .map((name) => {
    const p = pkg(name);
    const dist = components.find(([n]) => n === name);
    const text = dist ? read(`node_modules/${name}/dist/${dist[1]}.css`) : "";
    const copyright = [...new Set(text.match(/Copyright[^\n*]*/g) ?? [])].map((c) => c.trim()).join("; ");
    const author = typeof p.author === "string" ? p.author : p.author?.name;
    return `- ${name} ${p.version}: ${copyright || author || "NL Design System community"}`;
  })
  .join("\n")}
`;

const outputs = { "static/site.css": css, "static/NOTICE.md": notice };
let stale = false;
for (const [path, text] of Object.entries(outputs)) {
  if (process.argv.includes("--check")) {
    if (read(path) !== text) {
      console.error(`${path} is not what its sources make: run "npm run css"`);
      stale = true;
    }
    continue;
  }
  writeFileSync(new URL(path, root), text);
}
console.log(`site.css: ${css.length} bytes, ${gzipSync(css, { level: 9 }).length} compressed`);
if (stale) process.exit(1);
