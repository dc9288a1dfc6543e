/** LangChain's hooks over one socket: `useStream` of `@langchain/react` on the threads of a graphwire server. */

export { type GraphwireStream, graphwireStream } from "./adapter.js";
export type { ThreadOptions } from "./thread_log.js";
