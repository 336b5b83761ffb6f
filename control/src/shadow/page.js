// Draws the charts of the page from the data that it carries.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("charts").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const digits = (v) => {
    const a = Math.abs(v);
    return a !== 0 && (a < 1e-3 || a >= 1e6) ? v.toExponential(2) : String(+v.toPrecision(4));
  };
  const axis = (label) => ({
    label, labelSize: 18, space: 60, stroke: colour("quiet"), values: (u, splits) => splits.map((v) => (v == null ? "" : digits(v))),
    grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 },
  });
  const charts = [];
  const draw = (id, height, options, series) => {
    const at = document.getElementById(id);
    if (!at) return;
    charts.push([at, height, new uPlot({ width: at.clientWidth, height, ...options }, series, at)]);
  };

  // Points, and the line on which both are equal.
  if (data.scatter.length) {
    const points = [...data.scatter].sort((a, b) => a[0] - b[0]);
    const values = points.flat();
    const least = Math.min(...values), most = Math.max(...values);
    const room = (most - least || 1) * 0.04;
    const range = () => [least - room, most + room];
    const diagonal = {
      hooks: {
        draw: (u) => {
          const { ctx } = u;
          const at = (v, scale) => u.valToPos(v, scale, true);
          ctx.save();
          ctx.strokeStyle = colour("baseline");
          ctx.setLineDash([4, 4]);
          ctx.beginPath();
          ctx.moveTo(at(least, "x"), at(least, "y"));
          ctx.lineTo(at(most, "x"), at(most, "y"));
          ctx.stroke();
          ctx.restore();
        },
      },
    };
    draw("scatter", 420, {
      scales: { x: { time: false, range }, y: { range } },
      axes: [axis("old"), axis("new")],
      series: [
        { label: "old", value: (u, v) => (v == null ? "" : digits(v)) },
        { label: "new", paths: () => null, points: { show: true, size: 4, width: 0, fill: colour("canary") }, value: (u, v) => (v == null ? "" : digits(v)) },
      ],
      plugins: [diagonal],
    }, [points.map((p) => p[0]), points.map((p) => p[1])]);
  }

  if (data.bars.length) {
    draw("differences", 260, {
      scales: { x: { time: false }, y: { range: (u, min, max) => [0, max || 1] } },
      axes: [axis("new - old"), { ...axis("comparisons"), size: 76 }],
      series: [
        { label: "new - old", value: (u, v) => (v == null ? "" : digits(v)) },
        { label: "comparisons", stroke: colour("canary"), fill: colour("band"), paths: uPlot.paths.bars({ size: [0.95] }), points: { show: false } },
      ],
    }, [data.bars, data.counts]);
  }

  const curves = data.curves;
  if (curves.shares.length) {
    const ms = (list) => list.map((v) => (v == null ? null : v / 1000));
    const line = (label, name) => ({ label, stroke: colour(name), width: 2, points: { show: false }, value: (u, v) => (v == null ? "" : digits(v) + " ms") });
    draw("latency", 300, {
      scales: { x: { time: false }, y: { distr: 3 } },
      axes: [{ ...axis("share of answers, %") }, axis("ms")],
      series: [{ label: "share", value: (u, v) => (v == null ? "" : digits(v) + " %") }, line("version in service", "baseline"), line("shadow", "canary")],
    }, [curves.shares.map((s) => s * 100), ms(curves.primary), ms(curves.shadow)]);
  }

  addEventListener("resize", () => charts.forEach(([at, height, chart]) => chart.setSize({ width: at.clientWidth, height })));
})();
