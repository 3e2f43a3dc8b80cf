// Changes one line of the SDK's module with the rules while it is loaded. A rule that is not in the module is an error, so that a control cannot pass by accident.
const off = (process.env.ADVERSARY_RULE_OFF ?? "").split(",").filter(Boolean);

export async function load(url, context, next) {
  const loaded = await next(url, context);
  if (url !== process.env.ADVERSARY_RULES_FILE) return loaded;
  let source = Buffer.from(loaded.source).toString("utf8");
  for (const rule of off) {
    const changed = source.replace(new RegExp(`\\b(${rule})(\\s*[:=]\\s*)true`, "i"), "$1$2false");
    if (changed === source) throw new Error(`${url} has no rule ${rule} that is on.`);
    source = changed;
  }
  return { ...loaded, source, shortCircuit: true };
}
