/** Rows and cells of a grid that is no table: a table cannot leave out the rows that are not seen. */

import type { ComponentProps, ReactNode, Ref } from "react";

export function GridRow(props: ComponentProps<"div">) {
  return <div {...props} role={"row" as string} />;
}

export function Grid(props: ComponentProps<"div">) {
  return <div {...props} role={"grid" as string} />;
}

export function RowGroup(props: ComponentProps<"div">) {
  return <div {...props} role={"rowgroup" as string} />;
}

interface CellProps {
  /** Names the column. */
  name: string;
  role?: "gridcell" | "columnheader";
  box?: Ref<HTMLDivElement>;
  children: ReactNode;
}

export function Cell({ name, role = "gridcell", box, children }: CellProps) {
  return (
    <div role={role} className={`runs-${name}`} ref={box}>
      {children}
    </div>
  );
}
