// Draws the charts that the page carries as data. Every figure that matters stands in a table as well.
"use strict";
(() => {
  const list = JSON.parse(document.getElementById("charts").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const palette = ["#8a8f98", "#2f6fdf", "#d9822b", "#2e9e6b", "#b0479b", "#c0392b", "#7a5cc9", "#3fa7b5"];
  const digits = (v) => {
    const a = Math.abs(v);
    return String(Number(v.toPrecision(a >= 1000 ? 6 : 4)));
  };
  const drawn = [];
  list.forEach((chart, at) => {
    const place = document.getElementById("chart-" + at);
    if (!place || !chart.x.length) return;
    const format = chart.percent ? (v) => digits(v * 100) + " %" : digits;
    const names = chart.names || [];
    // Every name, or of many every so manieth.
    const each = Math.ceil((names.length * 80) / Math.max(place.clientWidth, 1)) || 1;
    const bars = chart.lines.filter((line) => line.style === "plain").length;
    const time = (v) => new Date(v * 1000).toISOString().slice(0, 19).replace("T", " ");
    const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 } };
    const times = (u, splits) => splits.map((v, n) => {
      const [day, clock] = new Date(v * 1000).toISOString().split("T");
      return n === 0 ? clock.slice(0, 8) + "\n" + day : clock.slice(0, 8);
    });
    let next = chart.lines.filter((line) => line.style === "plain").length > 1 ? 0 : 1;
    const series = chart.lines.map((line) => {
      const value = (u, v) => (v === null || v === undefined ? "" : format(v));
      if (line.style === "hidden") return { label: line.label, stroke: "transparent", points: { show: false }, value };
      if (line.style === "boundary") return { label: line.label, stroke: colour("limit"), width: 1.5, dash: [6, 4], points: { show: false }, value };
      const stroke = palette[next++ % palette.length];
      if (line.style === "points") return { label: line.label, stroke, paths: () => null, points: { show: true, size: 8, fill: stroke }, value };
      if (names.length) {
        const side = bars > 1 ? (palette.indexOf(stroke) % 2 ? 1 : -1) : 0;
        return { label: line.label, stroke, fill: stroke, width: 0, paths: uPlot.paths.bars({ size: [0.7 / bars, 60], align: side }), points: { show: false }, value };
      }
      const few = chart.x.length < 3;
      return { label: line.label, stroke, width: 2, paths: chart.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined, points: { show: few, size: 7 }, value };
    });
    const x = chart.time ? chart.x.map((ms) => ms / 1000) : chart.x;
    const options = {
      width: place.clientWidth,
      height: 240,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { drag: { x: true, y: false }, y: false },
      scales: { x: names.length ? { time: false, range: [0.4, names.length + 0.6] } : { time: chart.time }, y: chart.percent && chart.stepped ? { range: [0, 1] } : names.length ? { range: (u, low, high) => [0, high * 1.05 || 1] } : {} },
      axes: [
        { ...axis, label: chart.time ? undefined : chart.xLabel, labelSize: 20, space: 90, ...(names.length ? { splits: () => chart.x, values: (u, places) => places.map((v, n) => (n % each ? "" : names[n])) } : { values: chart.time ? times : undefined }) },
        { ...axis, size: 80, values: (u, values) => values.map((v) => (v === null ? "" : format(v))) },
      ],
      series: [{ label: chart.xLabel || "time", value: (u, v) => (v === null ? "" : chart.time ? time(v) : names[v - 1] || digits(v)) }, ...series],
      bands: chart.bands.map((band) => ({ series: [band.upper, band.lower], fill: colour("band") })),
    };
    drawn.push({ plot: new uPlot(options, [x, ...chart.lines.map((line) => line.values)], place), place });
  });
  addEventListener("resize", () => drawn.forEach(({ plot, place }) => plot.setSize({ width: place.clientWidth, height: 240 })));
})();
