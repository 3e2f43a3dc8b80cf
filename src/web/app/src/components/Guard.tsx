import { Component, type ReactNode } from "react";
import { MissingPart } from "../browser/part.js";
import { strings } from "../text/strings.js";
import { Button } from "./Button.js";
import { Empty } from "./Empty.js";
import type { IconName } from "./Icon.js";

const text = strings.boot;

/** A screen that cannot continue: the reason, and what to do. */
export const Stop = ({ icon, title, words, reload }: { icon: IconName; title: string; words: string; reload?: boolean }) => (
  <div className="centre boot">
    <Empty icon={icon} title={title} text={words}>
      {reload && (
        <Button look="main" onClick={() => location.reload()}>
          {text.reload}
        </Button>
      )}
    </Empty>
  </div>
);

/** An error boundary: a failure inside does not affect the rest of the page. */
export class Guard extends Component<{ children: ReactNode }, { error?: unknown }> {
  override state: { error?: unknown } = {};

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (error === undefined) return this.props.children;
    const what = error instanceof MissingPart ? "missing" : "crashed";
    return <Stop icon="warning" title={text[`${what}Title`]} words={text[what]} reload />;
  }
}
