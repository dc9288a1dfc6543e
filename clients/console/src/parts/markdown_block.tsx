/** One block of Markdown, parsed. `markdown` loads this file, and with it the parser, on demand. */

import { type ComponentProps, isValidElement, memo, type ReactNode } from "react";
import ReactMarkdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import { Copy } from "./copy";
import { safeUrl } from "./markdown_split";
import { withMarks } from "./marks";

const PLUGINS = [remarkGfm];

const COMPONENTS: Components = {
  a: ({ href, children }) => <Link url={href}>{children}</Link>,
  img: ({ src, alt }) => <Link url={src}>{alt ? `Image: ${alt}` : "Image"}</Link>,
  pre: ({ children }) => <Code>{children}</Code>,
  table: ({ children }) => (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
    <section className="markdown-table" tabIndex={0} aria-label="Table">
      <table>{children}</table>
    </section>
  ),
  // The page has its own h1; what a message says is below it.
  h1: ({ children }) => <h2 className="markdown-h1">{children}</h2>,
  h2: ({ children }) => <h3 className="markdown-h2">{children}</h3>,
  h3: ({ children }) => <h4>{children}</h4>,
  h4: ({ children }) => <h5>{children}</h5>,
  h5: ({ children }) => <h6>{children}</h6>,
  input: ({ checked, type }: ComponentProps<"input">) =>
    type === "checkbox" ? <span>{checked ? "☑" : "☐"} </span> : null,
};

/** Show a block. */
export default memo(function MarkdownBlock({ text }: { text: string }) {
  return (
    <ReactMarkdown remarkPlugins={PLUGINS} components={COMPONENTS} urlTransform={keep}>
      {text}
    </ReactMarkdown>
  );
});

/** `Link` decides about addresses. */
const keep = (url: string) => url;

function Link({ url, children }: { url: unknown; children: ReactNode }) {
  const href = safeUrl(url);
  if (href === undefined)
    return (
      <span
        className="markdown-nolink"
        title={typeof url === "string" ? `not a link: ${withMarks(url)}` : undefined}
      >
        {children}
      </span>
    );
  return (
    <a href={href} target="_blank" rel="noreferrer" title={href}>
      {children}
    </a>
  );
}

function Code({ children }: { children: ReactNode }) {
  const { className = "", children: inner } = isValidElement<ComponentProps<"code">>(children)
    ? children.props
    : {};
  const language = /language-(\S+)/.exec(className)?.[1];
  const text = String(inner ?? "").replace(/\n$/, "");
  return (
    <figure className="markdown-figure">
      <figcaption>
        <span>{language}</span>
        <Copy text={text} label="Copy code" />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
      <pre className="markdown-code" tabIndex={0}>
        <code>{text}</code>
      </pre>
    </figure>
  );
}
