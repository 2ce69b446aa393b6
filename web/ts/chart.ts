// The read-out of a day chart: a slider over its bars, for keys, mouse and
// touch. Its sentences come from the table under the chart.

const svg = "http://www.w3.org/2000/svg";

export function readOuts(): void {
  for (const plot of document.querySelectorAll<HTMLElement>("[data-chart]:not([data-ready])")) {
    const area = plot.querySelector<SVGSVGElement>(".pd-chart__area");
    const read = plot.querySelector<HTMLElement>("[data-read]");
    const slider = read?.querySelector<HTMLInputElement>("input");
    const out = read?.querySelector<HTMLOutputElement>("output");
    const rows = plot.parentElement?.querySelectorAll<HTMLTableRowElement>("[data-rows] tbody tr");
    const bars = plot.querySelectorAll<SVGRectElement>(".m, .e, .t, .u, .n");
    if (!area || !read || !slider || !out || !rows || rows.length === 0 || rows.length !== bars.length) continue;

    const pick = document.createElementNS(svg, "rect");
    pick.setAttribute("class", "pd-pick");
    pick.setAttribute("y", "0");
    pick.setAttribute("height", "100%");
    area.prepend(pick);

    const show = (i: number): void => {
      const bar = bars[i];
      const text = rows[i]?.dataset.read;
      if (text === undefined || !bar) return;
      out.textContent = text;
      slider.value = String(i);
      slider.setAttribute("aria-valuetext", text);
      for (const name of ["x", "width"]) pick.setAttribute(name, bar.getAttribute(name) ?? "0");
    };
    slider.max = String(rows.length - 1);
    slider.addEventListener("input", () => show(Number(slider.value)));

    const at = (e: PointerEvent): void => {
      const box = area.getBoundingClientRect();
      const x = ((e.clientX - box.left) / box.width) * 100;
      // The nearest bar, so that it does not matter which way time runs.
      const far = (bar: SVGRectElement): number => {
        const [left, width] = ["x", "width"].map((name) => parseFloat(bar.getAttribute(name) ?? "0"));
        return Math.abs((left ?? 0) + (width ?? 0) / 2 - x);
      };
      let best = 0;
      bars.forEach((bar, i) => {
        if (far(bar) < far(bars[best] ?? bar)) best = i;
      });
      show(best);
    };
    const chart = plot.querySelector<SVGSVGElement>(".pd-chart--day");
    chart?.addEventListener("pointermove", at);
    chart?.addEventListener("pointerdown", at);
    read.hidden = false;
    plot.setAttribute("data-ready", "");
    show(Number(slider.getAttribute("value") ?? 0));
  }
}
