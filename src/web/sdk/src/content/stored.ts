/*
 * How contents are stored. The store's encoding refuses the key `__proto__`, and data of another person's application may have it: such data is stored as text.
 */
import type { Content } from "./content.js";

/** A content whose `data` is a JSON text. */
export type Stored<C> = C extends { type: "custom" } ? { type: "custom"; kind: string; json: string } : C;

export const toStored = <C extends { type: string }>(content: C): Stored<C> =>
  (isCustom(content) ? { type: "custom", kind: content.kind, json: JSON.stringify(content.data) } : content) as Stored<C>;

export const fromStored = <C extends { type: string }>(stored: Stored<C>): C => {
  const { type, kind, json } = stored as { type: string; kind?: string; json?: string };
  return (type === "custom" && json !== undefined ? { type, kind, data: JSON.parse(json) as unknown } : stored) as C;
};

const isCustom = (content: { type: string }): content is Extract<Content, { type: "custom" }> => content.type === "custom";
