// The planner's heatmaps: arrow keys and pointer read a cell out. Without this
// script every cell shows its number all the same.

for (const table of document.querySelectorAll<HTMLTableElement>("[data-heat]")) {
  const read = document.querySelector<HTMLElement>(`[data-heatread="${table.dataset.heat}"]`);
  if (!read) continue;
  const rows = [...table.tBodies[0]!.rows].map((r) => [...r.querySelectorAll<HTMLTableCellElement>("td")]);
  let y = 0;
  let x = 0;
  const move = (toY: number, toX: number): void => {
    const cell = rows[toY]?.[toX];
    if (!cell) return;
    rows[y]?.[x]?.setAttribute("tabindex", "-1");
    [y, x] = [toY, toX];
    cell.setAttribute("tabindex", "0");
    read.textContent = cell.title;
  };
  // In a table that is read from right to left the next cell is at the left.
  const right = getComputedStyle(table).direction === "rtl" ? -1 : 1;
  const steps: Record<string, [number, number]> = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -right], ArrowRight: [0, right] };
  table.addEventListener("keydown", (e) => {
    const step = steps[e.key];
    if (!step) return;
    e.preventDefault();
    move(y + step[0], x + step[1]);
    rows[y]?.[x]?.focus();
  });
  rows.forEach((cells, i) => {
    cells.forEach((cell, j) => {
      cell.setAttribute("tabindex", i === 0 && j === 0 ? "0" : "-1");
      for (const event of ["pointerenter", "focus", "click"]) cell.addEventListener(event, () => move(i, j));
    });
  });
  read.hidden = false;
}
