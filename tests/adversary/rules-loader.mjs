// Changes a line of the SDK's trust/enforced.js while it is loaded. A rule that is not in the module is an error, so that a control cannot pass by accident.
const off = (process.env.ADVERSARY_RULE_OFF ?? "").split(",").filter(Boolean);

export async function load(url, context, next) {
  const loaded = await next(url, context);
  if (!url.endsWith("/sdk/dist/trust/enforced.js")) return loaded;
  let source = Buffer.from(loaded.source).toString("utf8");
  for (const rule of off) {
    const changed = source.replace(new RegExp(`\\b${rule}: true`), `${rule}: false`);
    if (changed === source) throw new Error(`${url} has no rule ${rule} that is on.`);
    source = changed;
  }
  return { ...loaded, source, shortCircuit: true };
}
