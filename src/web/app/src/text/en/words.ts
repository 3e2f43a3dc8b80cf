const rules = new Intl.PluralRules("en");

export const numbers = new Intl.NumberFormat("en");
export const list = new Intl.ListFormat("en", { style: "long", type: "conjunction" });

/** A number with its noun. */
export const plural = (n: number, one: string, other: string): string => `${numbers.format(n)} ${rules.select(n) === "one" ? one : other}`;
