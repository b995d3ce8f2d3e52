"use strict";
// The interactive part of a report. The data stands in #data; D3 does scales, axes, zoom and search.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  root.classList.add("js");
  const $ = (id) => document.getElementById(id);
  const seconds = (us) => (us / 1e6).toFixed(us % 1000 ? 4 : 3).replace("-", "−") + " s";
  const millis = (us) => (us >= 1e6 ? (us / 1e6).toFixed(2) + " s" : us >= 1e3 ? (us / 1e3).toFixed(1) + " ms" : us + " µs");

  // Theme: the system's until the reader chooses.
  const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
  $("theme").addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; draw(); });
  systemDark.addEventListener("change", () => draw());

  // A column is a list, or runs of a value and how often it comes: {"r": [value, count, …]}.
  function column(packed) {
    if (Array.isArray(packed)) return packed;
    const out = [];
    for (let i = 0; i < packed.r.length; i += 2) for (let n = packed.r[i + 1]; n > 0; n--) out.push(packed.r[i]);
    return out;
  }
  // Columns of differences become columns of values.
  function undelta(packed) { let v = 0; return column(packed).map((d) => (v += d)); }
  const log = data.log;
  log.t = undelta(log.t);
  const DIFFERENCES = ["t", "seq", "message"];
  const unpack = (table) => { for (const key of Object.keys(table)) table[key] = DIFFERENCES.includes(key) ? undelta(table[key]) : column(table[key]); };
  for (const lane of data.lanes) if (lane.ops) unpack(lane.ops);
  const messages = data.messages;
  unpack(messages);

  // Where each lane lies.
  const LEFT = 150, RIGHT = 14, TOP = 40, AXIS = 34;
  const HEIGHT = { r: 24, s: 24, p: 16, c: 44 };
  let y = TOP, group = null;
  data.lanes.forEach((lane, i) => {
    if (group !== null && lane.k !== group) y += 10;
    group = lane.k;
    lane.y = y; lane.h = HEIGHT[lane.k]; lane.i = i; lane.log = [];
    y += lane.h + 3;
  });
  log.t.forEach((_, j) => data.lanes[log.lane[j]].log.push(j));
  const height = y + AXIS;

  const plot = $("plot"), canvas = $("canvas"), tip = $("tip"), live = $("live");
  const context = canvas.getContext("2d");
  const base = d3.scaleLinear().domain([data.from, data.end]);
  let x = base.copy(), width = 0, pinned = null, cursor = -1, drawing = 0;
  const inner = () => [[LEFT, 0], [width - RIGHT, height]];
  const zoom = d3.zoom().on("zoom", () => { x = d3.event.transform.rescaleX(base); if (pinned && visible(pinned)) mark(pinned); else { pinned = null; mark(null); tell(null); } draw(); })
    .on("end", () => { const [a, b] = x.domain(); try { history.replaceState(null, "", "#t=" + (a / 1e6).toFixed(4) + "," + (b / 1e6).toFixed(4)); } catch (e) { /* not everywhere allowed */ } })
    .filter(() => !d3.event.button && (d3.event.type !== "wheel" || d3.event.ctrlKey || d3.event.metaKey || document.activeElement === canvas));
  const selection = d3.select(canvas);
  function resize() {
    const [a, b] = x.domain();
    width = plot.clientWidth;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = height + "px";
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    base.range([LEFT, width - RIGHT]); x.range([LEFT, width - RIGHT]);
    const least = (data.end - data.begin) / 1000; // a window of 1 ms
    const pan = [[base(data.begin), -Infinity], [base(data.end), Infinity]];
    zoom.extent(inner()).translateExtent(pan).scaleExtent([Math.min(1, (data.end - data.from) / (data.end - data.begin)), Math.max(8, least)]);
    show(a, b);
  }
  function show(a, b) {
    const k = (data.end - data.from) / Math.max(1000, b - a);
    selection.call(zoom.transform, d3.zoomIdentity.translate(LEFT, 0).scale(k).translate(-base(a), 0));
  }
  const visible = (it) => it.t >= x.domain()[0] && it.t <= x.domain()[1];

  function colors() {
    const css = getComputedStyle(root), c = (n) => css.getPropertyValue(n).trim();
    return { paper: c("--paper"), ink: c("--ink"), faint: c("--faint"), rule: c("--rule"), panel: c("--panel"), focus: c("--focus") };
  }
  const tone = (pair) => pair[dark() ? 1 : 0];
  function ink(color) {
    const c = d3.rgb(color), f = (v) => (v / 255) * (v / 255);
    return 0.2126 * f(c.r) + 0.7152 * f(c.g) + 0.0722 * f(c.b) > 0.22 ? "#000" : "#fff";
  }
  function clip(text, room) {
    if (context.measureText(text).width <= room) return text;
    while (text.length > 1 && context.measureText(text + "…").width > room) text = text.slice(0, -1);
    return text.length > 1 ? text + "…" : "";
  }

  // However many events ask for it, the picture is drawn once a frame.
  function draw() { if (!drawing) drawing = requestAnimationFrame(() => { drawing = 0; paint(); }); }
  function paint() {
    if (!width) return;
    const c = colors(), [from, to] = x.domain();
    const at = (t) => Math.max(LEFT, Math.min(width - RIGHT, x(t)));
    context.clearRect(0, 0, width, height);
    context.font = '12px "DejaVu Sans",Verdana,sans-serif';
    context.textBaseline = "middle";
    const bottom = height - AXIS;
    // Grid.
    context.strokeStyle = c.rule; context.lineWidth = 1;
    const ticks = Math.max(3, Math.round(width / 110));
    for (const t of seconds_scale().ticks(ticks)) line(x(t * 1e6), TOP - 6, bottom, c.rule);
    // Faults of the network shade everything.
    for (const f of data.faults) if (f.net && f.to > f.from) { context.fillStyle = "#cc79a72e"; context.fillRect(at(f.from), TOP - 6, at(f.to) - at(f.from), bottom - TOP + 6); }
    for (const w of data.two) { context.fillStyle = "#d55e0040"; const first = data.lanes[0]; context.fillRect(at(w.from), TOP - 6, at(w.to) - at(w.from), (first ? first.y : TOP) + data.redis * 27 - TOP + 4); }
    for (const lane of data.lanes) {
      context.textAlign = "right"; context.fillStyle = c.ink;
      context.fillText(clip(lane.n, LEFT - 14), LEFT - 8, lane.y + lane.h / 2 - (lane.sub ? 7 : 0));
      if (lane.sub) { context.fillStyle = c.faint; context.fillText(clip(lane.sub, LEFT - 14), LEFT - 8, lane.y + lane.h / 2 + 8); }
      context.textAlign = "left";
      if (lane.k === "c") drawClient(lane, c, from, to, at); else drawBars(lane, c, from, to, at);
      if (lane.k !== "c") drawLog(lane, c, from, to);
    }
    // Two masters at once.
    for (const w of data.two) {
      context.fillStyle = "#d55e00";
      for (const name of w.nodes) {
        const lane = data.lanes.find((l) => l.k === "r" && l.n === name);
        if (!lane) continue;
        // What goes on behind the overlay says its name again.
        for (const [a, b, s] of lane.bars) if (a < w.to && b > w.to && w.to < to) drawBar(lane, w.to, b, s, at);
        context.fillStyle = "#d55e00"; context.fillRect(at(w.from), lane.y, at(w.to) - at(w.from), lane.h);
        context.fillStyle = "#fff"; context.fillText(clip("MASTER beside another master", at(w.to) - at(w.from) - 8), at(w.from) + 5, lane.y + lane.h / 2);
        drawLog(lane, c, from, to);
      }
    }
    // Faults: lines, then labels over them.
    const inside = data.faults.filter((f) => f.from <= to && Math.max(f.from, f.to) >= from);
    for (const f of inside) if (f.from >= from) line(x(f.from), 4, bottom, c.ink);
    const free = [LEFT, LEFT];
    for (const f of inside) {
      // What began before the window and lasts is named at its edge.
      const next = inside.find((g) => g.from > f.from), room = (next ? x(next.from) : width - RIGHT) - Math.max(LEFT, x(f.from)) - 16;
      const text = clip((f.from < from ? "← " : "") + f.label, Math.max(420, room)), w = context.measureText(text).width + 10, px = Math.max(LEFT, Math.min(x(f.from), width - RIGHT - w));
      const row = free.findIndex((e) => e <= px);
      if (row >= 0) {
        context.fillStyle = dark() ? "#58444f" : "#ecd0e0"; context.fillRect(px, 2 + row * 16, w, 15);
        context.fillStyle = c.ink; context.fillText(text, px + 5, 10 + row * 16); free[row] = px + w + 3;
      }
    }
    // Axis.
    d3.select("#axis").attr("width", width).attr("height", AXIS).selectAll("g").data([0]).join("g").attr("transform", "translate(0,1)")
      .call(d3.axisBottom(seconds_scale()).ticks(ticks));
  }
  const seconds_scale = () => d3.scaleLinear().domain(x.domain().map((t) => t / 1e6)).range(x.range());
  function line(px, y0, y1, color, w) {
    if (px < LEFT - 1 || px > width - RIGHT + 1) return;
    context.strokeStyle = color; context.lineWidth = w || 1; context.beginPath(); context.moveTo(Math.round(px) + 0.5, y0); context.lineTo(Math.round(px) + 0.5, y1); context.stroke();
  }
  // The line through what is told: an element of its own, so that moving the mouse draws nothing anew.
  const rule = $("mark");
  function mark(it) {
    const px = it ? x(it.t) : -1;
    rule.style.display = px >= LEFT && px <= width - RIGHT ? "block" : "none";
    rule.style.transform = "translateX(" + (px - 1) + "px)";
    rule.style.top = TOP - 6 + "px"; rule.style.height = height - AXIS - TOP + 6 + "px";
  }
  function drawBar(lane, a, b, state, at) {
    const color = tone(data.states[lane.k][state].c), px = at(a), w = Math.max(1, at(b) - px);
    context.fillStyle = color; context.fillRect(px, lane.y, w, lane.h);
    if (lane.k !== "s" && w > 30) { context.fillStyle = ink(color); for (const f of data.faults) { const fx = x(f.from); if (fx > px + 4 && fx < px + 60 && fx < px + w - 40) { context.fillText(clip(data.states[lane.k][state].w, w - 8 - (fx - px)), fx + 5, lane.y + lane.h / 2); return; } } context.fillText(clip(data.states[lane.k][state].w, w - 8), px + 5, lane.y + lane.h / 2); }
  }
  function drawBars(lane, c, from, to, at) {
    for (const [a, b, s] of lane.bars) {
      if (b >= from && a <= to) drawBar(lane, a, b, s, at);
    }
    (lane.believes || []).forEach(([t, who], i, all) => {
      const until = i + 1 < all.length ? all[i + 1][0] : data.end;
      if (until < from || t > to) return;
      const bar = lane.bars.find((b) => b[0] <= Math.max(t, from) && b[1] > Math.max(t, from));
      if (!bar) return;
      const room = at(Math.min(until, bar[1])) - at(t) - 8;
      if (room > 30) { context.fillStyle = ink(tone(data.states.s[bar[2]].c)); let px = at(t), left = room; for (const f of data.faults) { const fx = x(f.from); if (fx > px + 4 && fx < px + 120 && fx < px + room - 60) { left -= fx - px; px = fx; } } context.fillText(clip("master is " + who, left), px + 5, lane.y + lane.h / 2); }
    });
  }
  function drawLog(lane, c, from, to) {
    const js = lane.log, lo = d3.bisector((j) => log.t[j]).left(js, from), hi = d3.bisector((j) => log.t[j]).right(js, to);
    let last = -9;
    context.fillStyle = c.ink;
    for (let i = lo; i < hi; i++) {
      const px = x(log.t[js[i]]);
      if (px - last < 1.5) continue;
      last = px;
      context.fillRect(px - 0.75, lane.y + lane.h - 5, 1.5, 5);
    }
  }
  // What kind of thing happened to attempt i of a lane: an index into data.kinds.
  function drawClient(lane, c, from, to, at) {
    context.fillStyle = c.panel; context.fillRect(LEFT, lane.y, width - RIGHT - LEFT, lane.h);
    // Hatched: without success. Who waits would else look as one who has nothing to do.
    for (const [a, b] of lane.outages || []) {
      if (b < from || a > to) continue;
      const left = at(a), right = at(b);
      context.save(); context.beginPath(); context.rect(left, lane.y, right - left, lane.h); context.clip();
      context.strokeStyle = dark() ? "#5a6066" : "#b3b7bb"; context.lineWidth = 1; context.beginPath();
      for (let px = left - lane.h; px < right; px += 9) { context.moveTo(px, lane.y + lane.h); context.lineTo(px + lane.h, lane.y); }
      context.stroke(); context.restore();
    }
    const ops = lane.ops, lo = d3.bisectLeft(ops.t, from - 5e6), hi = d3.bisectRight(ops.t, to);
    const strip = lane.bars.length ? 7 : 0, room = lane.h - strip - 1, per = (width - LEFT - RIGHT) / Math.max(1, d3.bisectRight(ops.t, to) - d3.bisectLeft(ops.t, from));
    if (per > 5) {
      for (let i = lo; i < hi; i++) {
        const px = at(ops.t[i]), end = at(ops.t[i] + (ops.took ? ops.took[i] : 0));
        if (ops.t[i] < from && end <= LEFT) continue;
        const color = tone(data.kinds[ops.kind[i]].c);
        context.fillStyle = color; context.globalAlpha = 0.35; context.fillRect(px, lane.y + 4, end - px, room - 4);
        context.globalAlpha = 1; if (ops.t[i] >= from) context.fillRect(px - 1, lane.y + 1, 2.5, room);
      }
    } else {
      const step = d3.tickStep(from / 1e6, to / 1e6, 200) * 1e6, columns = new Map();
      for (let i = lo; i < hi; i++) {
        if (ops.t[i] < from) continue;
        const column = Math.floor(ops.t[i] / step);
        let bin = columns.get(column);
        if (!bin) columns.set(column, (bin = { all: 0, kinds: new Map() }));
        bin.all++; bin.kinds.set(ops.kind[i], (bin.kinds.get(ops.kind[i]) || 0) + 1);
      }
      const most = d3.quantile(Array.from(columns.values(), (b) => b.all).sort(d3.ascending), 0.75) || 1;
      columns.forEach((bin, column) => {
        let base = lane.y + room + 1;
        const a = Math.max(from, column * step), b = Math.min(to, (column + 1) * step);
        const unit = room / Math.max(most * (b - a) / step, bin.all), px = Math.round(x(a)), w = Math.round(x(b)) - px;
        for (const kind of Array.from(bin.kinds.keys()).sort(d3.ascending)) {
          const tall = bin.kinds.get(kind) * unit;
          context.fillStyle = tone(data.kinds[kind].c); context.fillRect(px, base - tall, w, tall); base -= tall;
        }
      });
    }
    for (const [a, b, s] of lane.bars) if (b >= from && a <= to) { context.fillStyle = s ? "#8d5b3e" : c.faint; context.fillRect(at(a), lane.y + lane.h - 5, Math.max(1, at(b) - at(a)), 5); }
  }

  // What is under a point.
  function find(px, py) {
    const lane = data.lanes.find((l) => py >= l.y - 1 && py <= l.y + l.h + 2);
    if (px < LEFT || px > width - RIGHT) return null;
    const t = x.invert(px), near = x.invert(px + 6) - t;
    if (!lane) {
      const f = py < TOP && data.faults.find((g) => t >= g.from - near && t <= g.from + near * 8);
      return f ? { t: f.from, title: f.label, rows: [["fault at", seconds(f.from)], ["until", f.to > f.from ? seconds(f.to) : "–"]] } : null;
    }
    const i = nearest(lane.log, (j) => log.t[j], t);
    if (i >= 0 && Math.abs(log.t[lane.log[i]] - t) <= near && (lane.k !== "c" || py > lane.y + lane.h - 8)) return line_at(lane.log[i]);
    if (lane.k === "c") {
      const k = nearest(lane.ops.t, (v) => v, t);
      if (k >= 0 && (Math.abs(lane.ops.t[k] - t) <= near || (lane.ops.took && lane.ops.t[k] + lane.ops.took[k] >= t && lane.ops.t[k] <= t))) return op_at(lane, k);
      const out = (lane.outages || []).find(([a, b]) => a <= t && t < b);
      return { t, title: lane.n + (out ? ": without success" : ""), rows: [["time", seconds(t)]].concat(out ? [["since", seconds(out[0])], ["until", seconds(out[1])], ["for", millis(out[1] - out[0])]] : []) };
    }
    const bar = lane.bars.find((b) => b[0] <= t && t < b[1]);
    if (!bar) return null;
    const rows = [["since", seconds(bar[0])], ["until", seconds(bar[1])], ["for", millis(bar[1] - bar[0])]];
    if (lane.believes) { const b = lane.believes.filter((e) => e[0] <= t).pop(); if (b) rows.push(["master, as it believes", b[1]]); const e = lane.epochs.filter((v) => v[0] <= t).pop(); if (e) rows.push(["epoch", e[1]]); }
    return { t, title: lane.n + ": " + data.states[lane.k][bar[2]].w, rows };
  }
  function nearest(list, of, t) {
    if (!list.length) return -1;
    const i = d3.bisector(of).left(list, t);
    if (i <= 0) return 0;
    if (i >= list.length) return list.length - 1;
    return t - of(list[i - 1]) <= of(list[i]) - t ? i - 1 : i;
  }
  function line_at(j) {
    const lane = data.lanes[log.lane[j]];
    const rows = [["time", seconds(log.t[j])]];
    if (log.during && log.during[j]) rows.push(["event", "#" + log.during[j]]);
    return { t: log.t[j], j, title: lane.node + ": " + log.text[j], rows, because: because(j) };
  }
  // What led to a log line, the nearest cause first; where the trace was not kept, what stands before it in the logs.
  function because(j) {
    const all = data.causes, out = [];
    if (!all) return j > 0 ? ["preceded by " + seconds(log.t[j - 1]) + " " + data.lanes[log.lane[j - 1]].node + ": " + log.text[j - 1]] : out;
    for (let c = log.cause[j]; c >= 0 && out.length < 7; c = all.before[c])
      out.push(seconds(all.t[c]) + " " + (all.who[c] ? all.who[c] + " " : "") + all.text[c]);
    return out;
  }
  function op_at(lane, k) {
    const ops = lane.ops, kind = data.kinds[ops.kind[k]];
    const rows = [["time", seconds(ops.t[k])], ["SEQ", ops.seq[k]], ["outcome", data.outcomes[ops.outcome[k]]]];
    if (ops.took) rows.push(["took", millis(ops.took[k])]);
    const m = ops.message ? ops.message[k] : -1;
    if (m >= 0) message_rows(m, rows);
    return { t: ops.t[k], title: lane.n + " " + lane.sub.split(",")[0] + ": " + kind.w, rows };
  }
  function message_rows(m, rows) {
    if (messages.receivers[m] >= 0) rows.push(["receivers", messages.receivers[m]]);
    rows.push(["received", messages.count[m] ? messages.count[m] + " ×, first after " + millis(messages.after[m]) : "never"]);
    rows.push(["fate", data.fates[messages.fate[m]]]);
    if (messages.cause[m] >= 0) rows.push(["cause", data.causes_of_loss[messages.cause[m]].w]);
  }
  function tell(it, px, py) {
    tip.replaceChildren();
    if (!it) { tip.style.display = "none"; return; }
    const head = document.createElement("b"); head.textContent = it.title; tip.append(head);
    for (const [k, v] of it.rows) { const row = document.createElement("div"); row.textContent = k + ": " + v; tip.append(row); }
    if (it.because && it.because.length) {
      const list = document.createElement("ol"); list.className = "because"; list.setAttribute("aria-label", "caused by");
      for (const text of it.because) { const item = document.createElement("li"); item.textContent = text; list.append(item); }
      tip.append(list);
    }
    tip.style.display = "block";
    const w = tip.offsetWidth, h = tip.offsetHeight;
    tip.style.left = Math.max(2, Math.min(px + 14, width - w - 4)) + "px";
    tip.style.top = Math.max(2, py + 18 + h > height ? py - h - 10 : py + 18) + "px";
  }
  canvas.addEventListener("mousemove", (e) => {
    const box = canvas.getBoundingClientRect(), px = e.clientX - box.left, py = e.clientY - box.top;
    pinned = null;
    const it = find(px, py); mark(it); tell(it, px, py);
  });
  canvas.addEventListener("mouseleave", () => { if (!pinned) { mark(null); tell(null); } });
  function pin(j) {
    const it = line_at(j), [a, b] = x.domain();
    if (it.t < a || it.t > b) show(it.t - (b - a) / 2, it.t + (b - a) / 2);
    pinned = it; cursor = j;
    mark(it); tell(it, x(it.t), data.lanes[log.lane[j]].y + data.lanes[log.lane[j]].h / 2);
    live.textContent = it.title + ", at " + seconds(it.t) + (it.because.length > 1 ? ", because " + it.because[1] : "");
  }
  function unpin() { pinned = null; mark(null); tell(null); live.textContent = ""; }
  function step(by) {
    const [from, to] = x.domain(), seen = cursor >= 0 && log.t[cursor] >= from && log.t[cursor] <= to;
    const j = seen ? cursor + by : by > 0 ? d3.bisectLeft(log.t, from) : d3.bisectRight(log.t, to) - 1;
    if (j >= 0 && j < log.t.length) pin(j);
  }
  const by = (f) => selection.call(zoom.scaleBy, f), pan = (f) => { const [a, b] = x.domain(), d = (b - a) * f; show(a + d, b + d); };
  const actions = { in: () => by(1.6), out: () => by(1 / 1.6), left: () => pan(-0.2), right: () => pan(0.2), all: () => show(data.from, data.end), boot: () => show(data.begin, data.end), next: () => step(1), prev: () => step(-1) };
  document.querySelectorAll("[data-do]").forEach((button) => button.addEventListener("click", () => actions[button.dataset.do]()));
  canvas.addEventListener("keydown", (e) => {
    const action = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", "0": "all", Home: "all", n: "next", p: "prev", b: "boot" }[e.key];
    if (e.key === "Escape") unpin();
    if (action && !e.ctrlKey && !e.metaKey) { e.preventDefault(); actions[action](); }
  });

  // Tables are lists of numbers of which a page at a time is in the document.
  function cell(tr, text, number) { const td = document.createElement("td"); td.textContent = text; if (number) td.className = "n"; tr.append(td); }
  function pager(name, noun, fill, go) {
    const PAGE = 100, body = $(name + "-rows"), tools = { before: $(name + "-before"), after: $(name + "-after"), count: $(name + "-count") };
    let chosen = [], page = 0;
    function rows() {
      body.replaceChildren();
      for (const i of chosen.slice(page * PAGE, (page + 1) * PAGE)) {
        const tr = document.createElement("tr");
        tr.className = "go"; tr.tabIndex = 0;
        fill(tr, i);
        tr.addEventListener("click", () => go(i));
        tr.addEventListener("keydown", (e) => { if (e.key === "Enter") go(i); });
        body.append(tr);
      }
      const last = Math.max(0, Math.ceil(chosen.length / PAGE) - 1);
      tools.count.textContent = chosen.length + " " + noun + (last ? ", page " + (page + 1) + " of " + (last + 1) : "");
      tools.before.disabled = page <= 0; tools.after.disabled = page >= last;
    }
    tools.before.addEventListener("click", () => { page--; rows(); });
    tools.after.addEventListener("click", () => { page++; rows(); });
    return (list) => { chosen = list; page = 0; rows(); };
  }
  function to_plot() { plot.scrollIntoView({ block: "center" }); canvas.focus({ preventScroll: true }); }

  // The ledger.
  const ledger = pager("ledger", "messages", (tr, m) => {
    cell(tr, messages.seq[m], true); cell(tr, data.clients[messages.client[m]]); cell(tr, seconds(messages.t[m]), true);
    cell(tr, data.outcomes[messages.outcome[m]]); cell(tr, millis(messages.took[m]), true);
    cell(tr, messages.receivers[m] >= 0 ? messages.receivers[m] : "–", true);
    cell(tr, messages.count[m] ? "after " + millis(messages.after[m]) : "never"); cell(tr, data.fates[messages.fate[m]]);
    cell(tr, messages.cause[m] >= 0 ? data.causes_of_loss[messages.cause[m]].w : "");
  }, (m) => { show(messages.t[m] - 5e5, messages.t[m] + 5e5 + messages.took[m]); to_plot(); });
  const cause = $("cause");
  function choose() {
    const wanted = cause.value, seq = $("seq").value.trim(), list = [];
    for (let m = 0; m < messages.t.length; m++) {
      const c = messages.cause[m];
      if (wanted === "lost" ? c < 0 : wanted === "all" ? false : wanted === "fbd" ? data.fates[messages.fate[m]] !== "failed-but-delivered" : c !== Number(wanted)) continue;
      if (seq && String(messages.seq[m]) !== seq) continue;
      list.push(m);
    }
    ledger(list);
  }
  data.causes_of_loss.forEach((c, i) => { if (c.count) cause.append(new Option(c.w + " (" + c.count + ")", i)); });
  cause.addEventListener("change", choose);
  $("seq").addEventListener("input", choose);
  document.querySelectorAll("td[data-cause]").forEach((td) => {
    const button = document.createElement("button");
    button.type = "button"; button.className = "link"; button.textContent = td.textContent; button.title = "Show these messages";
    button.addEventListener("click", () => { cause.value = td.dataset.cause; choose(); });
    td.replaceChildren(button);
  });
  if (!messages.cause.some((c) => c >= 0)) cause.value = "all";
  choose();

  // The log of all nodes.
  const lines = pager("log", "lines", (tr, j) => {
    cell(tr, seconds(log.t[j]), true); cell(tr, data.lanes[log.lane[j]].node); cell(tr, log.text[j]);
    const why = because(j); cell(tr, data.causes ? why[1] || why[0] || "" : "");
  }, (j) => { const [a, b] = x.domain(); if (log.t[j] < a || log.t[j] > b || b - a > 2e6) show(log.t[j] - 1e6, log.t[j] + 1e6); to_plot(); pin(j); });
  const nodes = Array.from(new Set(data.lanes.map((lane) => lane.node)));
  for (const node of nodes) $("log-node").append(new Option(node, node));
  function search() {
    const node = $("log-node").value, words = $("log-text").value.toLowerCase(), list = [];
    for (let j = 0; j < log.t.length; j++)
      if ((!node || data.lanes[log.lane[j]].node === node) && (!words || log.text[j].toLowerCase().includes(words))) list.push(j);
    lines(list);
  }
  $("log-node").addEventListener("change", search);
  $("log-text").addEventListener("input", search);
  search();

  window.addEventListener("resize", resize);
  // A link to a time: #t=FROM,TO shows a window, #t=AT the line nearest to a moment; in seconds.
  function follow() {
    const wanted = /^#t=(-?[\d.]+)(?:,(-?[\d.]+))?$/.exec(location.hash);
    if (!wanted) return;
    const from = Number(wanted[1]) * 1e6;
    if (wanted[2] !== undefined) { show(from, Math.max(from + 1000, Number(wanted[2]) * 1e6)); return; }
    show(from - 1e6, from + 1e6);
    const j = nearest(log.t.map((_, i) => i), (i) => log.t[i], from);
    if (j >= 0) pin(j);
  }
  const begin = location.hash;
  resize();
  if (begin.startsWith("#t=")) { history.replaceState(null, "", begin); follow(); }
  if (begin.startsWith("#at=")) history.replaceState(null, "", begin);
  window.addEventListener("hashchange", follow);
  // What the view of a moment shares with the timeline.
  window.report = {
    data, seconds, millis, dark, tone, column, undelta, line: (j) => ({ t: log.t[j], node: data.lanes[log.lane[j]].node, text: log.text[j] }), lines: log.t,
    at(t) { const [a, b] = x.domain(); if (t < a || t > b) show(t - (b - a) / 2, t + (b - a) / 2); pinned = { t }; mark(pinned); },
  };
  $("theme").addEventListener("click", () => window.dispatchEvent(new Event("report-theme")));
})();
