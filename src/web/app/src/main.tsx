import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/layout.css";
import "./styles/list.css";
import "./styles/chat.css";
import "./styles/panels.css";
import "./styles/account.css";
import "./styles/trust.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Boot } from "./Boot.js";
import { strings } from "./text/strings.js";
import { installWorker } from "./browser/worker.js";
import "./browser/theme.js";

document.documentElement.lang = strings.language;
document.documentElement.dir = strings.direction;
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Boot />
  </StrictMode>,
);

if (import.meta.env.PROD) installWorker();
