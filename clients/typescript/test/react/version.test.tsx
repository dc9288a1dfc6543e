/** Which React the tests of the hooks run with. */

import { version } from "react";
import { expect, test } from "vitest";

test("React is the one that is meant", () => {
  expect(version.split(".")[0]).toBe(process.env.REACT ?? "19");
});
