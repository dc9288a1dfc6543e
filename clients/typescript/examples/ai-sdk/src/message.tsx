import { getToolName, isToolUIPart, type UIMessage } from "ai";

type Approve = (response: { id: string; approved: boolean; reason?: string }) => void;
type Part = UIMessage["parts"][number];

export function Message({ message, onApproval }: { message: UIMessage; onApproval: Approve }) {
  return (
    <article className={message.role}>
      {message.parts.map((part, index) => (
        <PartView key={index} part={part} onApproval={onApproval} />
      ))}
    </article>
  );
}

function PartView({ part, onApproval }: { part: Part; onApproval: Approve }) {
  if (part.type === "text") return <p>{part.text}</p>;
  if (part.type === "reasoning")
    return (
      <details open={part.state === "streaming"}>
        <summary>Thought</summary>
        {part.text}
      </details>
    );
  if (isToolUIPart(part))
    return (
      <div className="tool">
        <b>{getToolName(part)}</b> <code>{JSON.stringify(part.input)}</code> <small>{part.state}</small>
        {part.state === "output-available" && <pre>{JSON.stringify(part.output, null, 1)}</pre>}
        {part.state === "output-error" && <p className="error">{part.errorText}</p>}
        {part.state === "approval-requested" && (
          <p>
            <button type="button" onClick={() => onApproval({ id: part.approval.id, approved: true })}>
              Approve
            </button>{" "}
            <button
              type="button"
              onClick={() =>
                onApproval({ id: part.approval.id, approved: false, reason: "the user said no" })
              }
            >
              Reject
            </button>
          </p>
        )}
      </div>
    );
  if (part.type === "data-progress") {
    const { pages, of } = part.data as { pages: number; of: number };
    return <progress value={pages} max={of} />;
  }
  if (part.type.startsWith("data-")) return <pre>{JSON.stringify(part)}</pre>;
  return null;
}
