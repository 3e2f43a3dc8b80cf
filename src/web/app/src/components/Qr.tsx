import { encodeQR } from "qr";

/** A QR code as one SVG path, black on white in both themes, as readers expect. A long text gets less redundancy, so that its squares stay large. */
export function Qr({ text, label, large }: { text: string; label: string; large?: boolean }) {
  const rows = encodeQR(text, "raw", { ecc: text.length > 150 ? "low" : "medium", border: 3 });
  let path = "";
  rows.forEach((row, y) =>
    row.forEach((dark, x) => {
      if (dark) path += `M${x} ${y}h1v1h-1z`;
    }),
  );
  return (
    <svg className={`qr ${large ? "large" : ""}`} viewBox={`0 0 ${rows.length} ${rows.length}`} role="img" aria-label={label} shapeRendering="crispEdges">
      <rect width={rows.length} height={rows.length} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
