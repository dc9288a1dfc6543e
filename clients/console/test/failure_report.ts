/** What a failed test of a page showed; vitest finds a setup file for pages only inside of this package. */
import "../../typescript/test/failure_report";
