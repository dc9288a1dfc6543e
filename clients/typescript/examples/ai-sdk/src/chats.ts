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

/** A chat that begins now. It has no messages yet, so it is there at once. */
export function begun(): Chat<UIMessage> {
  const id = `chat-${crypto.randomUUID()}`;
  ids.push(id);
  localStorage.setItem("chats", JSON.stringify(ids));
  return chatOf(id, []);
}

/** A chat of an earlier visit, with the messages that its thread has. */
export const opened = async (id: string) => chatOf(id, await transport.loadMessages(id));

function chatOf(id: string, messages: UIMessage[]): Chat<UIMessage> {
  const sendAutomaticallyWhen = lastAssistantMessageIsCompleteWithApprovalResponses;
  return new Chat({ id, transport, messages, sendAutomaticallyWhen });
}
