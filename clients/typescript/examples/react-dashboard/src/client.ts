import { connect, type Mode } from "graphwire";

/** One socket for the whole page; `?server=ws://...` names another server than `make demo`'s. */
export const client = connect(
  new URLSearchParams(location.search).get("server") ?? "ws://127.0.0.1:8765/ws",
  { onState: () => {} }, // the page shows it
);

/** What runs record, so that whoever opens one sees all of it, whenever that is. */
const VIEW = { modes: ["updates", "messages", "custom"] satisfies Mode[], namespaces: [["**"]] };

const TOPICS = [
  "cats",
  "the sea",
  "tea",
  "old maps",
  "trains",
  "snow",
  "bees",
  "lighthouses",
  "rain",
  "chess",
];

/** Start ten runs at once, of all graphs of the demo. They go on when this page is closed. */
export async function startTen(): Promise<void> {
  await Promise.all(
    TOPICS.map(async (topic, index) => {
      const run = await start(topic, index);
      run.detach(); // the list shows its status, and whoever opens it its events
    }),
  );
}

function start(topic: string, index: number) {
  const options = { ...VIEW, metadata: { title: topic } };
  if (index % 5 === 0) {
    const messages = [{ type: "human", content: `Write a mail about ${topic}` }];
    return client.run("chat", { messages }, { ...options, thread: crypto.randomUUID() });
  }
  if (index % 5 === 1) return client.run("longjob", { topic, seconds: 30 }, options);
  return client.run(index % 5 === 2 ? "research" : "joke_and_poem", { topic }, options);
}
