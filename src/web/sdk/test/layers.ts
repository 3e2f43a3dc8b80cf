import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** What a folder may import. The order of the table is the order of the layers, the lowest first. */
export type Layers = Record<string, { folders: string[]; packages: string[] }>;

const importOf = /^\s*(?:import|export)\b[^;]*?\bfrom\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"/gm;

/** The modules that a file imports or exports again, types included. */
export const importsOf = (text: string): string[] => [...text.matchAll(importOf)].map((found) => (found[1] ?? found[2] ?? found[3])!);

/** Each import from one folder into another, and each package that a folder uses: `base -> net: base/bytes.ts`. */
export function edgesOf(root: string): { from: string; to: string; isPackage: boolean; file: string }[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((file) => /\.tsx?$/.test(file))
    .flatMap((file) =>
      importsOf(readFileSync(join(root, file), "utf8")).map((name) => {
        const isPackage = !name.startsWith(".");
        const to = isPackage ? packageOf(name) : relative(root, dirname(join(root, dirname(file), name)));
        return { from: dirname(file), to: to === "" ? "." : to, isPackage, file };
      }),
    )
    .filter(({ from, to }) => from !== to);
}

/** What breaks the rules of the table: forbidden imports, permissions that nothing uses, and a table whose arrows do not all go down. */
export function violations(root: string, layers: Layers): string[] {
  const edges = edgesOf(root);
  const order = Object.keys(layers);
  const isUsed = (from: string, to: string, isPackage: boolean): boolean =>
    edges.some((edge) => edge.from === from && edge.to === to && edge.isPackage === isPackage);
  return [
    ...edges
      .filter(({ from, to, isPackage }) => !(isPackage ? layers[from]?.packages : layers[from]?.folders)?.includes(to))
      .map(({ from, to, file }) => `${from} may not import ${to}: ${file}`),
    ...order.flatMap((from, place) => [
      ...layers[from]!.folders.filter((to) => !order.slice(0, place).includes(to)).map((to) => `${to} is not below ${from} in the table`),
      ...layers[from]!.folders.filter((to) => !isUsed(from, to, false)).map((to) => `${from} does not import ${to}: take it out of the table`),
      ...layers[from]!.packages.filter((to) => !isUsed(from, to, true)).map((to) => `${from} does not use ${to}: take it out of the table`),
    ]),
  ];
}

/** Each circle of imports between files, types included, as `rooms/a.ts -> rooms/b.ts -> rooms/a.ts`. */
export function circles(root: string): string[] {
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) => /\.tsx?$/.test(file));
  const found: string[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const start = path.indexOf(file);
    if (start >= 0) found.push([...path.slice(start), file].join(" -> "));
    if (start >= 0 || done.has(file)) return;
    path.push(file);
    for (const name of importsOf(readFileSync(join(root, file), "utf8"))) {
      const to = join(dirname(file), name).replace(/\.js(x?)$/, ".ts$1");
      if (name.startsWith(".") && files.includes(to)) visit(to);
    }
    path.pop();
    done.add(file);
  };
  files.toSorted().forEach(visit);
  return found;
}

const packageOf = (name: string): string =>
  name.startsWith("node:")
    ? "node"
    : name
        .split("/")
        .slice(0, name.startsWith("@") ? 2 : 1)
        .join("/");
