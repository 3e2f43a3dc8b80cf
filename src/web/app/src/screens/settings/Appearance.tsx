import { Choices } from "../../components/Field.js";
import { useCell } from "../../base/cell.js";
import { strings } from "../../text/strings.js";
import { setTheme, theme, themes } from "../../browser/theme.js";

export function Appearance() {
  const chosen = useCell(theme);
  return (
    <section className="section">
      <h2>{strings.appearance.theme}</h2>
      <p className="muted">{strings.appearance.themeText}</p>
      <div>
        <Choices
          label={strings.appearance.theme}
          value={chosen}
          options={themes.map((each) => [each, strings.appearance[each]] as const)}
          onChange={setTheme}
        />
      </div>
    </section>
  );
}
