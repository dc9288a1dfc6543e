/** Copy what attaches to a run, or what would start it again. */

import { useState } from "react";
import { SERVER } from "../client";
import { Copy } from "../parts/copy";
import { Dialog } from "../parts/dialog";
import { attaching, type Language, type Subject, starting } from "./commands";
import { whereOf } from "./input";
import type { Viewed } from "./page";
import { useKnownInput } from "./use_input";

/** Where `client.ts` keeps the token. */
const TOKEN = "graphwire.token";

const LANGUAGES: { name: Language; title: string }[] = [
  { name: "shell", title: "Command line" },
  { name: "python", title: "Python" },
  { name: "typescript", title: "TypeScript" },
];

export function CopyDialog({ open, onClose, ...viewed }: Viewed & { open: boolean; onClose: () => void }) {
  return (
    <Dialog title="Copy as" open={open} onClose={onClose}>
      <Choice {...viewed} />
    </Dialog>
  );
}

function Choice(viewed: Viewed) {
  const { id, recorded, row } = viewed;
  const [what, setWhat] = useState<"attach" | "start">("attach");
  const [language, setLanguage] = useState<Language>("shell");
  const known = useKnownInput(viewed);
  const subject: Subject = {
    url: SERVER,
    hasToken: !!(sessionStorage.getItem(TOKEN) ?? localStorage.getItem(TOKEN)),
    run: id,
    graph: row?.graph,
    modes: recorded.modes,
    subgraphs: recorded.subgraphs,
  };
  const written =
    what === "attach"
      ? attaching(subject, language)
      : known.input
        ? starting(subject, { input: known.input.value, ...whereOf(row) }, language)
        : { problem: known.isLoading ? "Loading the input…" : known.why };
  return (
    <div className="run-dialog">
      <div className="run-choices">
        <Choices
          label="What"
          options={[
            { name: "attach", title: "Watch this run" },
            { name: "start", title: "Start it again" },
          ]}
          value={what}
          onChange={setWhat}
        />
        <Choices label="As" options={LANGUAGES} value={language} onChange={setLanguage} />
      </div>
      {"text" in written ? (
        <>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
          <pre className="run-code" tabIndex={0}>
            {written.text}
          </pre>
          <div className="run-dialog-actions">
            <Copy text={written.text} label="Copy" isText />
          </div>
        </>
      ) : (
        <p role="note">{written.problem}</p>
      )}
      {what === "start" && known.input && (
        <p className="run-soft">
          The input is {known.input.from}. The server does not keep config, context and metadata: add them
          yourself.
        </p>
      )}
    </div>
  );
}

function Choices<T extends string>({
  label,
  options,
  value,
  onChange,
}: {
  label: string;
  options: readonly { readonly name: T; readonly title: string }[];
  value: T;
  onChange: (value: T) => void;
}) {
  return (
    <fieldset className="run-segments">
      <legend className="run-hidden">{label}</legend>
      {options.map(({ name, title }) => (
        <label key={name}>
          <input
            type="radio"
            name={`run-${label}`}
            checked={name === value}
            onChange={() => onChange(name)}
          />
          <span>{title}</span>
        </label>
      ))}
    </fieldset>
  );
}
