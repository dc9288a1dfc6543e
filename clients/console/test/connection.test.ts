/**
 * What the page Connection makes of limits, round trips and the history of the connection.
 *
 * @vitest-environment happy-dom
 */

import { expect, test } from "vitest";
import { topOf } from "../src/connection/chart";
import { limitsOf, valueText } from "../src/connection/limits";
import { quantile, sinceWhen } from "../src/connection/page";

test("each limit has its unit, in round numbers", () => {
  const said = (name: string, value: number | null) => valueText(name, value);
  expect(said("max_event_bytes", 4 << 20)).toBe("4 MiB");
  expect(said("log_ttl_s", 900)).toBe("15 minutes");
  expect(said("result_ttl_s", 86_400)).toBe("1 day");
  expect(said("interrupt_ttl_s", 90)).toBe("90 s");
  expect(said("disconnect_grace_s", 0)).toBe("0 s");
  expect(said("requests_per_s", 200)).toBe("200 a second");
  expect(said("max_run_s", null)).toBe("no limit");
  expect(said("log_events", 10_000)).toBe("10,000");
});

test("a limit of a later server is shown by its own name, and one that is not announced is left out", () => {
  const groups = limitsOf({ max_frame_bytes: 1, max_moons: 3 });
  expect(groups.map(({ title, limits }) => [title, limits.map(({ name }) => name)])).toEqual([
    ["This connection", ["max_frame_bytes"]],
    ["Others", ["max_moons"]],
  ]);
});

test("attempts in between do not begin a new time without a connection", () => {
  const change = (at: number, state: string) => ({ at, connection: { state } as never });
  const changes = [
    change(1, "connecting"),
    change(2, "connected"),
    change(3, "waiting"),
    change(4, "connecting"),
    change(5, "waiting"),
  ];
  expect(sinceWhen(changes)).toBe(3);
  expect(sinceWhen(changes.slice(0, 2))).toBe(2);
  expect(sinceWhen(changes.slice(0, 1))).toBe(1);
  expect(sinceWhen([])).toBeUndefined();
});

test("the chart has a round top, and the numbers are those of the sorted values", () => {
  expect([0, 5, 6, 41, 316, 1001].map(topOf)).toEqual([5, 5, 10, 50, 500, 2000]);
  expect([quantile([3, 1, 2], 0.5), quantile([5], 0.95), quantile([], 0.5)]).toEqual([2, 5, 0]);
});
