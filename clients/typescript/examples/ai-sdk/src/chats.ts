/** All chats of the page: one client, so one socket, and a `Chat` each, which live longer than what shows them. */

import { Chat } from "@ai-sdk/react";
import { lastAssistantMessageIsCompleteWithApprovalResponses, type UIMessage } from "ai";
import { connect } from "graphwire";
import { GraphwireChatTransport } from "graphwire/ai";

/** `?server=ws://...` names another server. */
const server = new URLSearchParams(location.search).get("server") ?? "ws://127.0.0.1:8765/ws";
const client = connect(server);
const transport = new GraphwireChatTransport(client, "agent");

/** The ids of the chats, which are threads of the graph. */
export const ids: string[] = JSON.parse(localStorage.getItem("chats") ?? "[]");

export const newId = () => `chat-${Date.now()}`;

/** Open a chat with the messages that its thread has. */
export async function opened(id: string): Promise<Chat<UIMessage>> {
  if (!ids.includes(id)) ids.push(id);
  localStorage.setItem("chats", JSON.stringify(ids));
  return new Chat({
    id,
    transport,
    messages: await transport.loadMessages(id),
    sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses,
  });
}
