
// What scripts add to the page: charts that answer the mouse and the keys, and tables that sort and filter.
// Texts of logs reach the page through textContent and the canvas only, never as markup.
(() => {
  "use strict";
  const DAY = 86400, VERSIONS = 8, STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, DAY, 2 * DAY, 7 * DAY];
  const pad = (number) => String(number).padStart(2, "0");
  const percent = (share) => (100 * share).toFixed(1) + " %";
  const count = (number) => number.toLocaleString("en-US");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

  function clock(time, seconds = true) {
    const at = new Date(time * 1000);
    return pad(at.getUTCHours()) + ":" + pad(at.getUTCMinutes()) + (seconds ? ":" + pad(at.getUTCSeconds()) : "");
  }

  function tick(time, step) {
    if (time % DAY) return clock(time, step < 60);
    const at = new Date(time * 1000);
    return pad(at.getUTCMonth() + 1) + "-" + pad(at.getUTCDate());
  }

  // -- charts ------------------------------------------------------------------------------------------

  /** Return the columns that uPlot takes: time, then rate, upper and lower end of the interval of each line. */
  function columns(rates) {
    const times = rates.lines[0].n.map((_, at) => rates.start + rates.seconds * (at + 0.5));
    const known = (line, values) => values.map((value, at) => (line.n[at] ? value : null));
    const drawn = rates.lines.flatMap((line) => [
      line.n.map((n, at) => (n ? line.y[at] / n : null)), known(line, line.high), known(line, line.low)]);
    return [times, ...drawn];
  }

  function axes(gutter, labels) {
    const ink = colour("soft"), grid = { stroke: colour("grid"), width: 1 };
    const font = "11px system-ui, sans-serif";
    const x = { stroke: ink, grid, font, ticks: { show: false }, incrs: STEPS, space: 70, size: labels === "bare" ? 6 : 26,
      values: labels === "bare" ? () => [] : (_, splits, __, ___, step) => splits.map((time) => tick(time, step)) };
    const y = { stroke: ink, grid, font, ticks: { show: false }, size: gutter, values: (_, splits) => splits.map((share) => +(100 * share).toFixed(2) + " %") };
    return [x, labels === "lanes" ? { ...y, splits: () => [], values: () => [] } : y];
  }

  function frame(chart, gutter, width, height, labels) {
    return {
      width, height, axes: axes(gutter, labels), legend: { show: false }, padding: [8, 12, 0, 0],
      scales: { x: { time: true, min: chart.data.start, max: chart.data.end } },
      tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC"),
      cursor: { y: false, sync: { key: chart.key, scales: ["x", null] }, points: { size: 7 }, drag: { x: true, y: false }, focus: { prox: -1 } },
    };
  }

  function shaded(plot, span) {
    if (!span) return;
    const { ctx, bbox } = plot;
    const left = Math.max(plot.valToPos(span[0], "x", true), bbox.left);
    const right = Math.min(plot.valToPos(span[1], "x", true), bbox.left + bbox.width);
    ctx.fillStyle = colour("shade");
    if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
  }

  function clipped(plot, draw) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    draw(ctx, devicePixelRatio);
    ctx.restore();
  }

  function dashed(plot, marks) {
    clipped(plot, (ctx, ratio) => {
      ctx.strokeStyle = colour("ink");
      ctx.lineWidth = 1.3 * ratio;
      ctx.setLineDash([3 * ratio, 3 * ratio]);
      for (const [time, , lane] of marks) {
        if (lane >= 0) continue;
        const x = plot.valToPos(time, "x", true);
        ctx.beginPath();
        ctx.moveTo(x, plot.bbox.top);
        ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
        ctx.stroke();
      }
    });
  }

  function rateChart(chart, gutter, width) {
    const { rates, marks, shade } = chart.data;
    const series = rates.lines.flatMap((_, at) => {
      const stroke = colour("line" + at);
      return [{ stroke, width: 1.8, points: { show: rates.lines[0].n.length < 60, size: 4 } }, ...[0, 1].map(() => ({ stroke: "transparent", points: { show: false } }))];
    });
    const bands = rates.lines.map((_, at) => ({ series: [3 * at + 2, 3 * at + 3], fill: colour("line" + at) + "2a" }));
    const base = frame(chart, gutter, width, 190, chart.data.lanes.length ? "bare" : "rates");
    return new uPlot({
      ...base, series: [{}, ...series], bands,
      scales: { ...base.scales, y: { range: [0, rates.top] } },
      hooks: { drawClear: [(plot) => shaded(plot, shade)], draw: [(plot) => dashed(plot, marks)], setCursor: [(plot) => chart.told(plot, false)] },
    }, columns(rates), chart.place);
  }

  function laneChart(chart, gutter, width) {
    const { data } = chart, many = Math.max(data.lanes.length, 1);
    const base = frame(chart, gutter, width, data.lane * many + 34, "lanes");
    return new uPlot({
      ...base, series: [{}, { stroke: "transparent", points: { show: false } }],
      scales: { ...base.scales, y: { range: [0, many] } },
      hooks: { drawClear: [(plot) => shaded(plot, data.shade)], draw: [(plot) => lanes(plot, data, gutter), (plot) => dashed(plot, data.marks)], setCursor: [(plot) => chart.told(plot, true)] },
    }, [[data.start, data.end], [0, 0]], chart.place);
  }

  function lanes(plot, data, gutter) {
    const { ctx, bbox } = plot, ratio = devicePixelRatio, high = bbox.height / Math.max(data.lanes.length, 1), size = data.lane < 20 ? 9 : 11;
    ctx.save();
    ctx.textBaseline = "middle";
    data.lanes.forEach((lane, at) => {
      ctx.font = (lane.affected ? "bold " : "") + size * ratio + "px system-ui, sans-serif";
      ctx.fillStyle = colour(lane.affected ? "line0" : "ink");
      ctx.textAlign = "right";
      ctx.fillText(fitted(ctx, lane.tail, (gutter - 10) * ratio), bbox.left - 8 * ratio, bbox.top + high * (at + 0.5));
    });
    ctx.restore();
    clipped(plot, () => {
      ctx.textBaseline = "middle";
      ctx.font = size * ratio + "px system-ui, sans-serif";
      data.lanes.forEach((lane, at) => lane.bands.forEach((band) => block(plot, data, band, bbox.top + high * at, high)));
      data.marks.forEach((mark) => mark[2] >= 0 && sign(plot, mark, bbox.top + high * (mark[2] + 0.5), ratio * data.lane / 20));
    });
  }

  function fitted(ctx, words, room) {
    let shown = words;
    while (shown.length > 4 && ctx.measureText(shown).width > room) shown = "…" + shown.replace("…", "").slice(1);
    return shown;
  }

  function block(plot, data, [version, start, end], top, high) {
    const { ctx, bbox } = plot, ratio = devicePixelRatio;
    const left = Math.max(plot.valToPos(start, "x", true), bbox.left), right = Math.min(plot.valToPos(end, "x", true), bbox.left + bbox.width);
    if (right < bbox.left || left > bbox.left + bbox.width) return;
    ctx.fillStyle = colour("v" + (version % VERSIONS));
    ctx.fillRect(left, top + 2 * ratio, Math.max(right - left, ratio), high - 4 * ratio);
    const label = data.versions[version];
    if (ctx.measureText(label).width + 10 * ratio < right - left) {
      ctx.fillStyle = colour("ink");
      ctx.textAlign = "left";
      ctx.fillText(label, left + 5 * ratio, top + high / 2);
    }
  }

  function sign(plot, [time, kind], middle, ratio) {
    const { ctx } = plot, x = plot.valToPos(time, "x", true);
    ctx.beginPath();
    ctx.lineWidth = (kind === "load_fail" ? 2.2 : 1) * ratio;
    ctx.fillStyle = colour(kind === "load" ? "fine" : kind === "flush" ? "ink" : "critical");
    ctx.strokeStyle = colour(kind === "load_fail" ? "critical" : "page");
    const to = (right, down, first) => ctx[first ? "moveTo" : "lineTo"](x + right * ratio, middle + down * ratio);
    if (kind === "load") {
      to(0, -1, true); to(5, 8); to(-5, 8); ctx.closePath(); ctx.fill();
    } else if (kind === "load_fail") {
      to(-4, -4, true); to(4, 4); to(4, -4, true); to(-4, 4);
    } else {
      ctx.arc(x, middle, 4.5 * ratio, 0, 2 * Math.PI); ctx.fill();
    }
    ctx.stroke();
  }

  /** One figure of the page: its charts, which share time and cursor, and the line that says the numbers. */
  class Chart {
    constructor(figure, data) {
      Object.assign(this, { figure, data, key: figure.dataset.chart, plots: [], lane: -1 });
      this.place = document.createElement("div");
      this.place.className = "moving";
      this.place.tabIndex = 0;
      this.place.setAttribute("role", "group");
      this.place.setAttribute("aria-label", figure.querySelector("svg").getAttribute("aria-label") + " Arrow keys step through the numbers.");
      this.readout = document.createElement("p");
      this.readout.className = "readout";
      this.readout.setAttribute("aria-live", "polite");
      figure.querySelector(".static").after(this.place, this.readout);
      figure.classList.add("scripted");
      this.place.addEventListener("keydown", (event) => this.pressed(event));
      this.place.addEventListener("mouseleave", () => this.hint());
      this.draw();
    }

    draw() {
      this.plots.forEach((plot) => plot.destroy());
      const width = this.place.clientWidth, gutter = width < 600 ? 96 : 190;
      this.width = width;
      this.plots = this.data.rates ? [rateChart(this, gutter, width)] : [];
      if (this.data.lanes.length) this.plots.push(laneChart(this, gutter, width));
      this.hint();
    }

    hint() {
      this.readout.textContent = "Point at the charts, or use the arrow keys on them, for numbers. Drag to zoom in, double-click or Escape to zoom out.";
    }

    told(plot, onLanes) {
      const { left, top, event } = plot.cursor;
      if (left < 0) return;
      if (onLanes && event && top >= 0) this.lane = Math.floor(top / plot.over.clientHeight * this.data.lanes.length);
      else if (event) this.lane = -1;
      this.say(plot.posToVal(left, "x"), plot);
    }

    say(time, plot) {
      const { rates, marks } = this.data, near = 6 * (plot.scales.x.max - plot.scales.x.min) / Math.max(plot.over.clientWidth, 1);
      const said = [[clock(time) + " UTC", ""], ...(rates ? this.rateSaid(time) : [])];
      if (this.lane >= 0) said.push(this.laneSaid(time));
      marks.filter((mark) => Math.abs(mark[0] - time) <= near && (mark[2] < 0 || this.lane < 0 || mark[2] === this.lane)).slice(0, 4)
        .forEach((mark) => said.push([clock(mark[0]), " " + mark[3]]));
      this.readout.replaceChildren(...said.flatMap(([head, rest], at) => {
        const bold = document.createElement("b");
        bold.textContent = head;
        return [...(at ? [" · "] : []), bold, rest];
      }));
    }

    rateSaid(time) {
      const { rates } = this.data, at = Math.min(Math.max(Math.floor((time - rates.start) / rates.seconds), 0), rates.lines[0].n.length - 1);
      return rates.lines.map((line) => [line.name, line.n[at]
        ? ` ${percent(line.y[at] / line.n[at])} (${(100 * line.low[at]).toFixed(1)} to ${(100 * line.high[at]).toFixed(1)}), ${count(line.y[at])} of ${count(line.n[at])}`
        : " no lookups"]);
    }

    laneSaid(time) {
      const lane = this.data.lanes[this.lane], band = lane.bands.find(([, start, end]) => start <= time && time < end);
      return [lane.name, band ? ` ${this.data.versions[band[0]]} since ${clock(band[1])}${band[3] ? ", seen in its answers" : ""}` : " no version known"];
    }

    pressed(event) {
      const plot = this.plots[0], step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") {
        this.plots.forEach((each) => each.setScale("x", { min: this.data.start, max: this.data.end }));
        return;
      }
      if (!step || !plot) return;
      event.preventDefault();
      const window = this.data.rates ? this.data.rates.seconds : (this.data.end - this.data.start) / 100;
      const from = plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, "x") : step > 0 ? plot.scales.x.min - window : plot.scales.x.max;
      const time = Math.min(Math.max(from + step * window * (event.shiftKey ? 10 : 1), plot.scales.x.min), plot.scales.x.max);
      this.lane = -1;
      plot.setCursor({ left: plot.valToPos(time, "x"), top: 10 });
      this.say(time, plot);
    }
  }

  // -- tables ------------------------------------------------------------------------------------------

  function key(row, column) {
    const cell = row.cells[column], by = cell.dataset.by;
    return by === undefined ? cell.textContent.trim() : Number(by);
  }

  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (head.classList.contains("plain")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const figures = table.tBodies[0].rows[0]?.cells[column].dataset.by !== undefined;
        const now = head.getAttribute("aria-sort");
        const next = now ? (now === "ascending" ? "descending" : "ascending") : figures ? "descending" : "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => sign * compare(key(a, column), key(b, column))));
      });
    });
  }

  function filtered() {
    const table = document.getElementById("table"), words = document.getElementById("filter"), only = document.getElementById("concerned");
    if (!table) return;
    const apply = () => {
      const wanted = words.value.toLowerCase(), rows = [...table.tBodies[0].rows];
      rows.forEach((row) => { row.hidden = !row.textContent.toLowerCase().includes(wanted) || (only.checked && !row.classList.contains("concerned")); });
      document.getElementById("shown").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
    };
    document.querySelector(".controls").hidden = false;
    words.addEventListener("input", apply);
    only.addEventListener("change", apply);
    apply();
  }

  // -- the page ----------------------------------------------------------------------------------------

  /** Open what is folded around the target of a link. */
  function unfold() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let place = target; place; place = place.parentElement) if (place.tagName === "DETAILS") place.open = true;
    if (target) target.scrollIntoView();
  }

  function charted() {
    const data = JSON.parse(document.getElementById("charts").textContent), drawn = new Map();
    const seen = new IntersectionObserver((entries) => entries.forEach(({ isIntersecting, target }) => {
      if (isIntersecting && !drawn.has(target)) drawn.set(target, new Chart(target, data[target.dataset.chart]));
    }), { rootMargin: "400px" });
    document.querySelectorAll("figure[data-chart]").forEach((figure) => seen.observe(figure));
    const again = () => drawn.forEach((chart) => chart.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    addEventListener("resize", () => drawn.forEach((chart) => { if (chart.place.clientWidth && chart.place.clientWidth !== chart.width) chart.draw(); }));
  }

  document.querySelectorAll("table.sortable").forEach(sortable);
  filtered();
  charted();
  addEventListener("hashchange", unfold);
  unfold();
})();
