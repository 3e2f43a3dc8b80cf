import { strings } from "../text/strings.js";
import { Icon } from "./Icon.js";

/** Whether a person has compared the keys: `again` when the keys were renewed since then, `held` when nothing is sent to the person now. */
export type Verified = "no" | "yes" | "again" | "held";

/** The mark beside the name of a person whose keys were compared. Nothing without a comparison: that is the normal case, and no fault. */
export function VerifiedMark({ verified }: { verified: Verified | undefined }) {
  if (verified === undefined || verified === "no") return null;
  const label = strings.trust.marks[verified];
  return (
    <span className={`mark ${verified}`} role="img" aria-label={label} title={label}>
      <Icon name={verified === "yes" ? "shield" : "shieldalert"} size="small" />
    </span>
  );
}
