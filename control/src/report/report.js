// Draws the charts of the page from the story that it carries. Every figure of theirs stands in a table as well.
"use strict";
(() => {
  const story = JSON.parse(document.getElementById("story").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const digits = (v) => {
    const a = Math.abs(v);
    return v.toFixed(a >= 100 ? 0 : a >= 10 ? 1 : a >= 1 ? 2 : 3);
  };
  const shown = {
    share: (v) => digits(v * 100) + " %",
    milliseconds: (v) => digits(v) + " ms",
    number: digits,
  };
  const from = story.fromMs / 1000;
  const to = Math.max(story.toMs, story.fromMs + 1000) / 1000;
  const sync = { key: "rollout" };
  const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");

  // Hours of 24, seconds only where they matter, the day where it begins.
  const times = (u, splits, i, space, step) =>
    splits.map((v, n) => {
      const [day, time] = new Date(v * 1000).toISOString().split("T");
      const hour = time.slice(0, step < 60 ? 8 : 5);
      if (step >= 86400) return day;
      return n === 0 || time.startsWith("00:00:00") ? hour + "\n" + day : hour;
    });

  // The moments at which something was decided, as lines through every chart.
  const marks = story.events.filter((e) => e.tone !== "neutral");
  const moments = {
    hooks: {
      draw: (u) => {
        const { ctx } = u;
        const { left, top, width, height } = u.bbox;
        ctx.save();
        ctx.lineWidth = devicePixelRatio;
        ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
        for (const mark of marks) {
          const x = Math.round(u.valToPos(mark.atMs / 1000, "x", true));
          if (x < left || x > left + width) continue;
          ctx.strokeStyle = colour(mark.tone);
          ctx.beginPath();
          ctx.moveTo(x, top);
          ctx.lineTo(x, top + height);
          ctx.stroke();
        }
        ctx.restore();
      },
    },
  };

  const charts = [];
  const draw = (id, data, series, format, range, extra) => {
    const at = document.getElementById(id);
    if (!at) return;
    const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 } };
    const chart = new uPlot(
      {
        width: at.clientWidth,
        height: 190,
        tzDate: utc,
        cursor: { sync, drag: { x: true, y: false }, y: false },
        scales: { x: { time: true, range: (u, min, max) => (min === from || min === null ? [from, to] : [min, max]) }, y: { range } },
        axes: [{ ...axis, values: times, space: 90 }, { ...axis, size: 70, values: (u, values) => values.map((v) => (v === null ? "" : format(v))) }],
        series: [{ value: (u, v) => (v === null ? "" : new Date(v * 1000).toISOString().slice(0, 19).replace("T", " ")) }, ...series],
        plugins: [moments],
        ...extra,
      },
      data,
      at,
    );
    charts.push({ chart, at });
  };
  const value = (format) => (u, v) => (v === null || v === undefined ? "" : format(v));

  // A weight is in force until the next one.
  const weights = [...story.weights, [story.toMs, story.weights.length ? story.weights[story.weights.length - 1][1] : 0]];
  draw(
    "weights",
    [weights.map((w) => w[0] / 1000), weights.map((w) => w[1] / 10000)],
    [{ label: "canary", stroke: colour("canary"), fill: colour("band"), width: 2, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false }, value: value(shown.share) }],
    (v) => Number((v * 100).toFixed(2)) + " %",
    (u, min, max) => [0, Math.max(0.01, (max || 0) * 1.05)],
    {},
  );

  story.criteria.forEach((criterion, i) => {
    const format = shown[criterion.unit];
    const column = (field) => criterion.points.map((p) => (p[field] === undefined ? null : p[field]));
    const dashed = { width: 1.5, dash: [6, 4], points: { show: false } };
    // The bounds may reach far beyond what was seen: the axis follows the values, the limit and the nearer bounds.
    const seen = ["measured", "baseline", "limit"].flatMap(column).filter((v) => v !== null);
    const top = seen.length ? Math.max(...seen) : 1;
    const low = seen.length ? Math.min(...seen) : 0;
    const room = Math.max(top - low, top * 0.25, 1e-6);
    draw(
      "criterion-" + i,
      [criterion.points.map((p) => p.atMs / 1000), column("upper"), column("lower"), column("baseline"), column("limit"), column("measured")],
      [
        { label: "upper", stroke: "transparent", points: { show: false }, value: value(format) },
        { label: "lower", stroke: "transparent", points: { show: false }, value: value(format) },
        { label: "baseline", stroke: colour("baseline"), ...dashed, dash: [2, 3], value: value(format) },
        { label: "limit", stroke: colour("limit"), ...dashed, value: value(format) },
        { label: "measured", stroke: colour("canary"), width: 2, points: { show: criterion.points.length < 40, size: 4 }, value: value(format) },
      ],
      format,
      () => [Math.max(0, low - room * 0.6), top + room * 0.6],
      { bands: [{ series: [1, 2], fill: colour("band") }] },
    );
  });

  const resize = () => charts.forEach(({ chart, at }) => chart.setSize({ width: at.clientWidth, height: 190 }));
  addEventListener("resize", resize);
})();
